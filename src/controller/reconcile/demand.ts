import type { DemandState } from '../../planner/service-problem.ts';

const secondsKept = 60;
const minutesKept = 1440;
const podsMax = 4096;
/** Reports that a rise of demand is looked for in: the last ones, and none older than this. */
const heardMax = 64;
const heardMs = 3_000;
/** Seconds of a report that count as now, and how many before them as what was usual. */
const nowSeconds = 2;
const usualSeconds = 10;
/** A rise of less is none, and one that chance makes so often is no news: standard deviations of a Poisson count. */
const rise = 1.25;
const surprise = 4;

/**
 * The arrivals of one service over all of its pods, by second and by minute. Each pod tells its last minute again and
 * again: every second of it counts once. What a pod counted stays when the pod is gone.
 */
export class Demand {
  /** A ring by absolute second. */
  readonly #seconds = new Float32Array(secondsKept);
  /** The newest second in the ring. */
  #newest = -1;
  /** By pod: the last second that was counted, and its rate of late. */
  readonly #pods = new Map<string, { last: number; rate: number }>();
  /** A ring too, once it is full; it begins small, because most services are young or idle. */
  #minutes = new Float32Array(16);
  #minutesCount = 0;
  #minuteItems = 0;
  /** Of the last reports: items of its last seconds, and what as many seconds of that pod brought before. */
  readonly #heard: { readonly atMs: number; readonly now: number; readonly usual: number }[] = [];

  /**
   * Takes in what a pod said.
   *
   * @param arrivals items in each of the last whole seconds, oldest first
   * @param atMs when it was heard, on the monotonic clock
   */
  take(pod: string, arrivals: readonly number[], atMs: number): void {
    const end = Math.floor(atMs / 1000) - 1;
    this.#advance(end);
    const known = this.#pods.get(pod);
    // Of one that is not remembered, each report would count the same seconds again.
    if (!known && this.#pods.size >= podsMax) return;
    const first = end - arrivals.length + 1;
    for (let second = Math.max(first, (known?.last ?? first - 1) + 1); second <= end; second++) {
      if (second <= this.#newest - secondsKept) continue;
      this.#seconds[second % secondsKept]! += arrivals[second - first] as number;
      this.#minuteItems += arrivals[second - first] as number;
    }
    const recent = arrivals.slice(-10);
    const rate = recent.length === 0 ? 0 : recent.reduce((sum, items) => sum + items, 0) / recent.length;
    if (arrivals.length >= nowSeconds + usualSeconds) this.#hear(arrivals, atMs);
    this.#pods.set(pod, { last: Math.max(end, known?.last ?? end), rate });
  }

  #hear(arrivals: readonly number[], atMs: number): void {
    const sum = (seconds: readonly number[]) => seconds.reduce((total, items) => total + items, 0);
    const usual = sum(arrivals.slice(-nowSeconds - usualSeconds, -nowSeconds)) * (nowSeconds / usualSeconds);
    this.#heard.push({ atMs, now: sum(arrivals.slice(-nowSeconds)), usual });
    // Nobody looks at older ones, and sixty of them for each of thousands of services are tens of megabytes.
    while (this.#heard.length > heardMax || atMs - (this.#heard[0]?.atMs ?? atMs) > heardMs) this.#heard.shift();
  }

  /**
   * Whether the pods that were heard just now get more than they did, beyond chance. Where demand is spread over many of
   * them, it jumps long before their sum shows it: those that were not asked since still count with what they had.
   */
  isRising(nowMs: number): boolean {
    let now = 0;
    let usual = 0;
    // From the newest on: those that were heard before it rose must not hide it.
    for (const each of this.#heard.toReversed()) {
      if (nowMs - each.atMs > heardMs) break;
      now += each.now;
      usual += each.usual;
      if (now > rise * usual && now - usual > surprise * Math.sqrt(usual + 1)) return true;
    }
    return false;
  }

  forget(pod: string): void {
    this.#pods.delete(pod);
  }

  /** Items a second over the last two whole seconds, as far as they were told. */
  lately(nowMs: number): number {
    const end = Math.floor(nowMs / 1000) - 1;
    this.#advance(end);
    return (this.#at(end) + this.#at(end - 1)) / 2;
  }

  /** The history up to now. Seconds that a pod has not told yet count with its rate of late. */
  state(nowMs: number, ageMs: number | undefined): DemandState {
    const end = Math.floor(nowMs / 1000) - 1;
    this.#advance(end);
    const perSecond = Array.from({ length: secondsKept }, (_, i) => {
      return this.#at(end - secondsKept + 1 + i);
    });
    return { perSecond, perMinute: this.#perMinute(), ...(ageMs === undefined ? {} : { ageMs }) };
  }

  #at(second: number): number {
    let items = second < 0 ? 0 : (this.#seconds[second % secondsKept] as number);
    for (const { last, rate } of this.#pods.values()) if (second > last) items += rate;
    return items;
  }

  #advance(to: number): void {
    if (this.#newest < 0) this.#newest = to;
    // After a gap of more than a day nothing before it is left.
    for (let second = Math.max(this.#newest + 1, to - 60 * minutesKept); second <= to; second++) {
      this.#seconds[((second % secondsKept) + secondsKept) % secondsKept] = 0;
      if (second % 60 === 0) {
        this.#endMinute();
      }
    }
    this.#newest = Math.max(this.#newest, to);
  }

  #endMinute(): void {
    if (this.#minutesCount === this.#minutes.length && this.#minutes.length < minutesKept) {
      const larger = new Float32Array(Math.min(minutesKept, this.#minutes.length * 2));
      larger.set(this.#minutes);
      this.#minutes = larger;
    }
    this.#minutes[this.#minutesCount % this.#minutes.length] = this.#minuteItems;
    this.#minutesCount++;
    this.#minuteItems = 0;
  }

  #perMinute(): number[] {
    const { length } = this.#minutes;
    if (this.#minutesCount <= length) return [...this.#minutes.subarray(0, this.#minutesCount)];
    const oldest = this.#minutesCount % length;
    return [...this.#minutes.subarray(oldest), ...this.#minutes.subarray(0, oldest)];
  }
}
