import type { ColdStart } from '../../planner/service-problem.ts';

const kept = 32;
const longestMs = 3_600_000;

/** How long pods took from their creation until they were Ready: the last ones of a service, or of all services. */
export class ColdStarts {
  #times: number[] = [];
  /** Whether the times are of starts that were watched, or of pods that were there before us. */
  #watched = false;

  /** A pod was watched as it became Ready after so many ms. What cannot be (a clock that jumped) is left out. */
  add(ms: number): void {
    if (!isPossible(ms)) return;
    if (!this.#watched) this.#times = [];
    this.#watched = true;
    this.#keep(ms);
  }

  /**
   * A pod was found Ready, since so many ms after its creation. It may have failed a probe in between: then this says
   * when it last recovered. It counts until a start was watched.
   */
  addFound(ms: number): void {
    if (!this.#watched && isPossible(ms)) this.#keep(ms);
  }

  get count(): number {
    return this.#times.length;
  }

  distribution(): ColdStart {
    const sorted = this.#times.toSorted((one, other) => one - other);
    const quantile = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
    // What was found is too long where it is wrong, never too short: the long half of it is not believed.
    return { p50Ms: quantile(0.5), p95Ms: quantile(this.#watched ? 0.95 : 0.5), count: sorted.length };
  }

  #keep(ms: number): void {
    this.#times.push(ms);
    if (this.#times.length > kept) this.#times.shift();
  }
}

function isPossible(ms: number): boolean {
  return ms >= 0 && ms <= longestMs;
}
