import { Pool } from 'undici';
import { type LoadResult, openLoop } from '../../src/demo/open-loop.ts';
import { timedCall, untilDue } from '../../src/load/timed-call.ts';
import { Random } from '../../src/simulator/random.ts';
import type { SimulatedRequest } from '../../src/simulator/run.ts';

/** A V1 body with one row of about `bytes` bytes of decimal numbers, as clients that send floats write them. */
export function bodyOf(bytes: number): string {
  const numbers: string[] = [];
  for (let length = 18, i = 0; length < bytes - 8; i++) {
    const text = ((((i * 7919) % 10_007) + 1) / 10_007).toFixed(6);
    numbers.push(text);
    length += text.length + 1;
  }
  return `{"instances":[[${numbers.join(',')}]]}`;
}

export const predictPath = '/v1/models/bench:predict';

/** Open-loop Poisson load of one body. Right is any answer with predictions. */
export function load(
  port: number,
  ratePerSecond: number,
  seconds: number,
  options: {
    body?: string;
    path?: string;
    seed?: number;
    sloMs?: number;
    timeoutMs?: number;
    uncountedSeconds?: number;
  } = {},
): Promise<LoadResult> {
  const random = new Random(options.seed ?? 1);
  const path = options.path ?? predictPath;
  const shot = { path, body: options.body ?? bodyOf(1000), isRight: (reply: string) => reply.includes('0.125') };
  return openLoop({
    url: `http://127.0.0.1:${port}`,
    ratePerSecond,
    seconds,
    sloMs: options.sloMs ?? 200,
    timeoutMs: options.timeoutMs ?? 5000,
    uncountedSeconds: options.uncountedSeconds ?? 0,
    shot: () => shot,
    random: () => random.uniform(),
  });
}

/** How one request of a workload ended. */
export interface Played {
  readonly atMs: number;
  readonly sloMs: number;
  readonly inTime: boolean;
}

/**
 * Sends a simulated workload over sockets, each request at its time and with its own objective in `paceline-timeout-ms`.
 * In time is a right answer within that, counted from when it was to be sent.
 */
export async function play(
  port: number,
  { path, body }: { path: string; body: string },
  workload: readonly SimulatedRequest[],
  timeoutMs = 5500,
): Promise<Played[]> {
  const pool = new Pool(`http://127.0.0.1:${port}`, {
    connections: 4096,
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const first = workload[0]?.at ?? 0;
  const startMs = performance.now() + 50;
  const calls: Promise<Played>[] = [];
  while (calls.length < workload.length) {
    const { at, sloMs } = workload[calls.length] as SimulatedRequest;
    const intended = startMs + at - first;
    if (intended > performance.now()) {
      await untilDue(intended);
      continue;
    }
    const headers = ['content-type', 'application/json', 'paceline-timeout-ms', `${sloMs}`];
    calls.push(
      timedCall(pool, { path, headers, body, intended, timeoutMs }).then(({ status, ms, text }) => ({
        atMs: at - first,
        sloMs,
        inTime: status === 200 && ms <= sloMs && text.includes('0.125'),
      })),
    );
  }
  const played = await Promise.all(calls);
  await pool.destroy();
  return played;
}

/** As many requests as `connections` carry one after the other, for `seconds`. Returns how many were answered. */
export async function saturate(
  port: number,
  connections: number,
  seconds: number,
  body: string,
  path = predictPath,
): Promise<number> {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections, pipelining: 1 });
  const until = performance.now() + seconds * 1000;
  let answered = 0;
  const worker = async () => {
    while (performance.now() < until) {
      const reply = await pool.request({ path, method: 'POST', headers: { 'content-type': 'application/json' }, body });
      await reply.body.dump();
      if (reply.statusCode === 200) answered++;
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  await pool.destroy();
  return answered;
}

/** Callers with open connections of their own, so that a burst costs the process under test no handshake. */
export class WarmCallers {
  readonly #pool: Pool;
  readonly #count: number;

  private constructor(port: number, count: number) {
    this.#pool = new Pool(`http://127.0.0.1:${port}`, { connections: count, pipelining: 1, headersTimeout: 0 });
    this.#count = count;
  }

  /** Opens the connections with one request each, all at once. */
  static async open(port: number, count: number): Promise<WarmCallers> {
    const callers = new WarmCallers(port, count);
    await callers.burst(0);
    return callers;
  }

  /** One request from each caller, spread evenly over so many ms. Resolves with the number of answers by status. */
  async burst(ms: number): Promise<Map<number, number>> {
    const statuses = new Map<number, number>();
    const body = bodyOf(1000);
    const headers = { 'content-type': 'application/json' };
    const one = async () => {
      const reply = await this.#pool.request({ path: predictPath, method: 'POST', headers, body });
      await reply.body.dump();
      statuses.set(reply.statusCode, (statuses.get(reply.statusCode) ?? 0) + 1);
    };
    const start = performance.now();
    const pending: Promise<void>[] = [];
    while (pending.length < this.#count) {
      const due = ms === 0 ? 1 : Math.min(1, (performance.now() - start) / ms);
      while (pending.length < due * this.#count) pending.push(one());
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(pending);
    return statuses;
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }
}
