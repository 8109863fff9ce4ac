import type { Problem } from '../../policy/problem.ts';

/** What is measured comes and goes around its bound: a warning holds for this long after it was last seen. */
const holdsMs = 600_000;

/** Warnings about one service: about how it is written, and about what its companions measured. */
export class Warnings {
  /** By code: until when it holds though nobody sees it any more. */
  readonly #seen = new Map<Problem['code'], { problem: Problem; untilMs: number }>();

  /**
   * Takes in what a pass found, and says what is new.
   *
   * @param measured what companions measured
   * @param written what is wrong with how the service is written: it ends when that is mended
   * @param nowMs on the monotonic clock
   */
  note(measured: readonly Problem[], written: readonly Problem[], nowMs: number): Problem[] {
    const found = [...measured, ...written];
    const fresh = found.filter(({ code }) => !this.#seen.has(code));
    for (const problem of found) {
      // Its figures stay those that were said first: they are never twice the same.
      const said = this.#seen.get(problem.code)?.problem ?? problem;
      this.#seen.set(problem.code, { problem: said, untilMs: measured.includes(problem) ? nowMs + holdsMs : nowMs });
    }
    const now = new Set(found.map(({ code }) => code));
    for (const [code, { untilMs }] of this.#seen) if (!now.has(code) && nowMs > untilMs) this.#seen.delete(code);
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
