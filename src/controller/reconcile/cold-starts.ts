import type { ColdStart } from '../../planner/service-problem.ts';

const kept = 32;
const longestMs = 3_600_000;

/** How long pods took from their creation until they were Ready: the last ones of a service, or of all services. */
export class ColdStarts {
  readonly #times: number[] = [];

  /** A pod became Ready after so many ms. What cannot be (a clock that jumped) is left out. */
  add(ms: number): void {
    if (!(ms >= 0 && ms <= longestMs)) return;
    this.#times.push(ms);
    if (this.#times.length > kept) this.#times.shift();
  }

  get count(): number {
    return this.#times.length;
  }

  distribution(): ColdStart {
    const sorted = [...this.#times].sort((one, other) => one - other);
    const quantile = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
    return { p50Ms: quantile(0.5), p95Ms: quantile(0.95), count: sorted.length };
  }
}
