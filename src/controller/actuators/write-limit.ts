/** So many writes at once, then one each `refillMs`. */
const burst = 5;
const refillMs = 10_000;
const objectsMax = 50_000;

/** Bounds how often one object is written, whatever is decided about it. */
export class WriteLimit {
  readonly #objects = new Map<string, { left: number; atMs: number }>();

  /** Takes one write, or says that it is too early. `nowMs` may jump: then nothing is refilled. */
  take(object: string, nowMs: number): boolean {
    const known = this.#objects.get(object) ?? { left: burst, atMs: nowMs };
    known.left = Math.min(burst, known.left + Math.max(0, nowMs - known.atMs) / refillMs);
    known.atMs = nowMs;
    this.#objects.delete(object);
    this.#objects.set(object, known);
    if (this.#objects.size > objectsMax) this.#objects.delete(this.#objects.keys().next().value as string);
    if (known.left < 1) return false;
    known.left--;
    return true;
  }
}
