/** A chunk below this is copied: kept as it came, it would cost memory for an object, and often for all that it was read with. */
const smallBelow = 4096;
/** The usual body comes in one chunk or two, which are not worth a copy. */
const keptAsTheyCame = 2;
/** A block is about as large as what is there already, so that not much more is held than has come. */
const blockMin = 1024;
const blockMax = 65_536;

/**
 * The chunks of one body, in memory that its bytes bound and not the number of its chunks: a body that comes byte by byte
 * would otherwise hold hundreds of times its size.
 *
 * ```
 *   pieces   ┌ chunk ┐ ┌ chunk ┐ ┌ of a block ┐ ┌ large chunk ┐ ┌ of the same block ┐ …
 *   block                         └─ copied ──┘ #sealed          └─ copied ──┘ #used  free
 * ```
 *
 * Every byte is in exactly one piece, or in the block between `#sealed` and `#used`, behind all pieces.
 */
export class CollectedBytes {
  readonly #pieces: Buffer[] = [];
  #block: Buffer | undefined;
  #sealed = 0;
  #used = 0;
  #length = 0;

  /** Bytes that have come. */
  get length(): number {
    return this.#length;
  }

  add(chunk: Buffer): void {
    this.#length += chunk.length;
    if (chunk.length >= smallBelow || this.#pieces.length < keptAsTheyCame) {
      this.#seal();
      this.#pieces.push(chunk);
    } else this.#copy(chunk);
  }

  /** All of it in one piece: the chunk itself where there was only one. */
  whole(): Buffer {
    this.#seal();
    return this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces, this.#length);
  }

  /** All of it in memory of its own. */
  copy(): Buffer {
    this.#seal();
    return Buffer.concat(this.#pieces, this.#length);
  }

  #copy(chunk: Buffer): void {
    for (let from = 0; from < chunk.length; ) {
      if (this.#block === undefined || this.#used === this.#block.length) {
        this.#seal();
        this.#block = Buffer.allocUnsafeSlow(Math.min(blockMax, Math.max(blockMin, this.#length)));
        this.#sealed = 0;
        this.#used = 0;
      }
      const copied = chunk.copy(this.#block, this.#used, from);
      this.#used += copied;
      from += copied;
    }
  }

  #seal(): void {
    if (this.#block === undefined || this.#sealed === this.#used) return;
    this.#pieces.push(this.#block.subarray(this.#sealed, this.#used));
    this.#sealed = this.#used;
  }
}
