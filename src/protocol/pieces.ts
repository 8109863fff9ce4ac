/** Pieces from here on stay where they are; smaller ones are copied together. In bytes. */
const keptMin = 16 * 1024;
/** Up to this length a loop is quicker than a call into the runtime. In bytes. */
const loopMax = 48;

/**
 * Collects pieces of other buffers, in order, and gives them back as few slices: small pieces are copied together, large
 * ones stay views. A view costs about as much as copying a hundred bytes and a write of its own at the socket; a copy of
 * a large piece costs fresh pages. Used again and again: nothing is allocated but the slices.
 */
export class Pieces {
  readonly #sources: Buffer[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #count = 0;
  #bytes = 0;
  #hasLarge = false;

  /**
   * Adds the bytes from `start` to `end` of a buffer.
   *
   * @throws {RangeError} if they are not all in it: what lies beyond may be another caller's.
   */
  add(source: Buffer, start: number, end: number): void {
    if (!(start >= 0 && start <= end && end <= source.length)) throw new RangeError('a piece lies outside its buffer');
    const length = end - start;
    if (length === 0) return;
    const at = this.#count++;
    this.#sources[at] = source;
    this.#starts[at] = start;
    this.#ends[at] = end;
    this.#bytes += length;
    if (length >= keptMin) this.#hasLarge = true;
  }

  /** Bytes since the last call of `take`. */
  get bytes(): number {
    return this.#bytes;
  }

  /** All pieces since the last call, as slices. */
  take(): Buffer[] {
    const slices: Buffer[] = [];
    if (!this.#hasLarge) slices.push(this.#join(0, this.#count, this.#bytes));
    else this.#takeApart(slices);
    this.clear();
    return slices;
  }

  /** Forgets the pieces since the last call of `take`. Whoever begins calls it: a use that failed may have left some. */
  clear(): void {
    // The sources would otherwise be kept alive until the next use.
    this.#sources.length = 0;
    this.#count = 0;
    this.#bytes = 0;
    this.#hasLarge = false;
  }

  #takeApart(slices: Buffer[]): void {
    let from = 0;
    let bytes = 0;
    for (let i = 0; i < this.#count; i++) {
      const start = this.#starts[i] as number;
      const end = this.#ends[i] as number;
      if (end - start < keptMin) {
        bytes += end - start;
        continue;
      }
      if (i > from) slices.push(this.#join(from, i, bytes));
      slices.push((this.#sources[i] as Buffer).subarray(start, end));
      from = i + 1;
      bytes = 0;
    }
    if (this.#count > from) slices.push(this.#join(from, this.#count, bytes));
  }

  #join(from: number, to: number, bytes: number): Buffer {
    const joined = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (let i = from; i < to; i++) {
      const source = this.#sources[i] as Buffer;
      const start = this.#starts[i] as number;
      const end = this.#ends[i] as number;
      if (end - start > loopMax) {
        joined.set(new Uint8Array(source.buffer, source.byteOffset + start, end - start), at);
        at += end - start;
      } else for (let b = start; b < end; b++) joined[at++] = source[b] as number;
    }
    return joined;
  }
}
