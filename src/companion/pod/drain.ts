import type { QueueProxy } from './queue-proxy.ts';

/** What a drain needs to know and do. Times in ms. */
export interface DrainTerms {
  /** All of it takes at most so long. */
  readonly timeoutMs: number;
  /** Nobody has asked for so long: nobody will. */
  readonly quietMs: number;
  /** Of the time, what the last answers may need. */
  readonly answersMs: number;
  readonly queueProxy: QueueProxy | undefined;
  lastRequestAt(): number;
  /** Whether the model still takes connections; asked once a second. */
  modelLives(): Promise<boolean>;
  /** Requests that have no answer yet. */
  open(): number;
  /** No new connections from now on. */
  close(): void;
}

/** How often a drain looks whether the model has gone, and whether the last answers are out. */
const modelEachMs = 1000;
const openEachMs = 5;

/**
 * Goes on serving until nobody asks any more, then closes the door and lets what is inside end:
 *
 * ```
 *   SIGTERM ── probes fail, partial batches go at once ── quiet ── no new connections ── all answered ── end
 *              │ quiet is the first of: no request for `quietMs`; queue-proxy has drained or is gone;
 *              │ the model is gone; what is left of `timeoutMs` is what the last answers need
 * ```
 *
 * Returns whether all were answered in time.
 */
export async function drain(terms: DrainTerms): Promise<boolean> {
  const from = performance.now();
  const until = from + terms.timeoutMs;
  const serveUntil = until - Math.min(terms.answersMs, terms.timeoutMs / 2);
  const over = new AbortController();
  let nobodyCan = false;
  let wake: (() => void) | undefined;
  terms.queueProxy?.drained(over.signal).then(() => {
    nobodyCan = true;
    wake?.();
  });
  for (let askModelAt = from + modelEachMs; !nobodyCan; ) {
    const quietAt = Math.max(from, terms.lastRequestAt()) + terms.quietMs;
    const now = performance.now();
    const end = Math.min(quietAt, serveUntil);
    if (now >= end) break;
    if (now >= askModelAt) {
      if (!(await terms.modelLives())) break;
      askModelAt = performance.now() + modelEachMs;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, Math.min(end, askModelAt) - performance.now()));
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
  over.abort();
  terms.close();
  while (terms.open() > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, openEachMs));
  return terms.open() === 0;
}
