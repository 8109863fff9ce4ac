import type { Pieces } from './pieces.ts';

// The numbers of Protocol Buffers: seven bits a byte, the lowest first.

/** The number at `at`, which is known to be one. Beyond 2^53 it is inexact. */
export function readVarint(bytes: Uint8Array, at: number): number {
  let value = 0;
  let factor = 1;
  for (let i = at; ; i++) {
    const byte = bytes[i] as number;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return value;
    factor *= 128;
  }
}

/** Bytes of a number below 2^53. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

const smallMax = 1024;

/** Writes numbers as pieces; small ones are made once. */
export class Varints {
  readonly #small: Buffer[] = [];

  add(pieces: Pieces, value: number): void {
    let bytes = value < smallMax ? this.#small[value] : undefined;
    if (!bytes) {
      bytes = Varints.bytes(value);
      if (value < smallMax) this.#small[value] = bytes;
    }
    pieces.add(bytes, 0, bytes.length);
  }

  static bytes(value: number): Buffer {
    const bytes = Buffer.allocUnsafe(varintSize(value));
    let rest = value;
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = (rest % 128) | (i + 1 < bytes.length ? 0x80 : 0);
      rest = Math.floor(rest / 128);
    }
    return bytes;
  }
}
