import { type Chance, type Clock, jittered } from '../../kube/clock.ts';
import { type CompanionSignals, parseSignals, SignalError } from './parse-signals.ts';
import type { PodCall } from './pod-call.ts';

/** A pod to ask: what of it the API says. */
export interface PolledPod {
  readonly key: string;
  /** The service that it belongs to, by its labels in the API. Its signals count for that one alone. */
  readonly service: string;
  readonly uid: string;
  readonly revision: string;
  readonly ip: string;
}

export interface PodReport {
  readonly signals: CompanionSignals;
  /** On the monotonic clock, when the answer arrived. */
  readonly atMs: number;
}

export interface PollerOptions {
  readonly call: PodCall;
  readonly clock: Clock;
  readonly chance: Chance;
  /** Called after a report of this service arrived. */
  readonly onReport: (service: string, pod: PolledPod, report: PodReport) => void;
  /** Called where a pod gave no usable answer. */
  readonly onFailure?: (pod: PolledPod, error: Error) => void;
  /** Most time between two questions, and near saturation. Default 10 s and 1 s. */
  readonly periodMs?: number;
  readonly fastPeriodMs?: number;
  /** Questions at once. Default 64. */
  readonly parallel?: number;
  /** Whether more waits to be done with what is known already than can be done soon: then calm pods are asked half as often. */
  readonly busy?: () => boolean;
}

interface Polled {
  pod: PolledPod;
  report: PodReport | undefined;
  cancel: (() => void) | undefined;
  asking: boolean;
  failures: number;
}

const timeoutMs = 1_000;
const jitter = 0.1;
/** A question every so many ms, over all pods, in calm times: some hundred a second take a few percent of a core. */
const podCostMs = 4;
/** Still well before signals count as not heard. */
const slowerWhileBusy = 2;

/**
 * Asks every companion for its signals, each at its own moment, so that thousands of pods are spread over the period.
 * Pods of services that are near saturation are asked each second.
 */
export class SignalPoller {
  readonly #options: PollerOptions;
  readonly #periodMs: number;
  readonly #fastPeriodMs: number;
  readonly #parallel: number;
  readonly #pods = new Map<string, Polled>();
  readonly #fast = new Set<string>();
  readonly #byService = new Map<string, Set<string>>();
  readonly #queue: Polled[] = [];
  #asking = 0;
  #stopped = false;

  constructor(options: PollerOptions) {
    this.#options = options;
    this.#periodMs = options.periodMs ?? 10_000;
    this.#fastPeriodMs = options.fastPeriodMs ?? 1_000;
    this.#parallel = options.parallel ?? 64;
  }

  get size(): number {
    return this.#pods.size;
  }

  /** Begins to ask a pod, or takes in that its address changed. The first question comes within `firstWithinMs`. */
  add(pod: PolledPod, firstWithinMs = 1_000): void {
    const known = this.#pods.get(pod.key);
    if (known && known.pod.uid === pod.uid && known.pod.ip === pod.ip) return;
    if (known) this.remove(pod.key);
    const polled: Polled = { pod, report: undefined, cancel: undefined, asking: false, failures: 0 };
    this.#pods.set(pod.key, polled);
    const pods = this.#byService.get(pod.service);
    if (pods) pods.add(pod.key);
    else this.#byService.set(pod.service, new Set([pod.key]));
    this.#schedule(polled, firstWithinMs * this.#options.chance());
  }

  remove(key: string): void {
    const polled = this.#pods.get(key);
    if (!polled) return;
    polled.cancel?.();
    this.#pods.delete(key);
    const { service } = polled.pod;
    const pods = this.#byService.get(service);
    pods?.delete(key);
    if (pods?.size === 0) {
      this.#byService.delete(service);
      this.#fast.delete(service);
    }
  }

  /** Asks the pods of this service each second from now on, or no longer. */
  setFast(service: string, fast: boolean): void {
    if (this.#fast.has(service) === fast) return;
    if (!fast) {
      this.#fast.delete(service);
      return;
    }
    this.#fast.add(service);
    for (const key of this.#byService.get(service) ?? []) {
      const polled = this.#pods.get(key)!;
      if (!polled.asking) this.#schedule(polled, this.#fastPeriodMs * this.#options.chance());
    }
  }

  reportOf(key: string): PodReport | undefined {
    return this.#pods.get(key)?.report;
  }

  stop(): void {
    this.#stopped = true;
    for (const polled of this.#pods.values()) polled.cancel?.();
    this.#pods.clear();
    this.#queue.length = 0;
  }

  #schedule(polled: Polled, delayMs: number): void {
    polled.cancel?.();
    polled.cancel = this.#options.clock.after(delayMs, () => {
      polled.cancel = undefined;
      this.#queue.push(polled);
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#asking < this.#parallel && this.#queue.length > 0) {
      const polled = this.#queue.shift()!;
      if (!polled.asking && this.#isCurrent(polled)) void this.#ask(polled);
    }
  }

  /**
   * A step of demand is seen as late as the next question, and until then requests miss their objective: so a small
   * fleet is asked as often as a saturated service, and a large one as often as keeps the questions at a fixed rate.
   */
  #calmPeriodMs(failures: number): number {
    const { busy } = this.#options;
    if (busy?.()) return this.#periodMs * slowerWhileBusy;
    if (failures > 0) return this.#periodMs;
    const least = Math.min(this.#fastPeriodMs, this.#periodMs);
    return Math.min(this.#periodMs, Math.max(least, this.#pods.size * podCostMs));
  }

  #isCurrent(polled: Polled): boolean {
    return !this.#stopped && this.#pods.get(polled.pod.key) === polled;
  }

  async #ask(polled: Polled): Promise<void> {
    const { call, clock, chance, onReport, onFailure } = this.#options;
    const { pod } = polled;
    polled.asking = true;
    this.#asking++;
    let report: PodReport | undefined;
    let failure: Error | undefined;
    try {
      const { status, body } = await call(pod.ip, { method: 'GET', path: '/signals', timeoutMs });
      if (status !== 200) throw new SignalError(`status ${status}`);
      const signals = parseSignals(body);
      refuseOther(signals, pod);
      report = { signals, atMs: clock.monotonicMs() };
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
    }
    this.#asking--;
    polled.asking = false;
    if (this.#isCurrent(polled)) {
      polled.failures = failure ? polled.failures + 1 : 0;
      if (report) polled.report = report;
      const fast = this.#fast.has(pod.service) && polled.failures < 3;
      const periodMs = fast ? this.#fastPeriodMs : this.#calmPeriodMs(polled.failures);
      this.#schedule(polled, jittered(periodMs, jitter, chance));
      if (report) onReport(pod.service, pod, report);
      else if (failure) onFailure?.(pod, failure);
    }
    this.#pump();
  }
}

/** An address is given to another pod soon after its owner is gone: what answers there has to say that it is the one we mean. */
function refuseOther({ isvc, revision }: CompanionSignals, pod: PolledPod): void {
  const [, namespace, name] = pod.service.split('/');
  if (isvc !== '' && isvc !== `${namespace}/${name}`) throw new SignalError('signals of another service');
  if (revision !== '' && revision !== pod.revision) throw new SignalError('signals of another revision');
}
