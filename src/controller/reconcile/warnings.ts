import type { Problem } from '../../policy/problem.ts';

/** What is measured comes and goes around its bound: a warning holds for this long after it was last seen. */
const holdsMs = 600_000;

/** Warnings about what companions measured of one service. */
export class Warnings {
  readonly #seen = new Map<string, { problem: Problem; lastMs: number }>();

  /** Takes in what a pass found, and says what is new. `nowMs` is on the monotonic clock. */
  note(problems: readonly Problem[], nowMs: number): Problem[] {
    for (const [code, { lastMs }] of this.#seen) if (nowMs - lastMs > holdsMs) this.#seen.delete(code);
    const fresh = problems.filter(({ code }) => !this.#seen.has(code));
    for (const problem of problems) {
      // Its figures stay those that were said first: they are never twice the same.
      this.#seen.set(problem.code, { problem: this.#seen.get(problem.code)?.problem ?? problem, lastMs: nowMs });
    }
    return fresh;
  }

  /** A sentence with those that hold, sorted by code; empty where there is none. */
  get text(): string {
    const problems = [...this.#seen.values()].map(({ problem }) => problem);
    return problems
      .sort((one, other) => (one.code < other.code ? -1 : 1))
      .map(({ code, message }) => `${code}: ${message}`)
      .join('; ');
  }
}
