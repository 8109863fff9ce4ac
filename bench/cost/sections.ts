// Reading and writing the WebAssembly binary format: numbers, vectors and sections.

/** One section: its number and what it holds, without the length. */
export interface Section {
  readonly id: number;
  readonly body: Uint8Array;
}

/** Reads a module or a part of it from front to back. */
export class Reader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** All sections of a module, whose first eight bytes are its mark and version. */
  sections(): Section[] {
    const sections: Section[] = [];
    this.at = 8;
    while (this.at < this.#bytes.length) {
      const id = this.byte();
      sections.push({ id, body: this.bytes(this.u32()) });
    }
    return sections;
  }

  /** @throws {RangeError} at the end. */
  byte(): number {
    const byte = this.#bytes[this.at++];
    if (byte === undefined) throw new RangeError('the module ends too early');
    return byte;
  }

  bytes(length: number): Uint8Array {
    if (this.at + length > this.#bytes.length) throw new RangeError('the module ends too early');
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  rest(): Uint8Array {
    return this.#bytes.subarray(this.at);
  }

  /** An unsigned LEB128 of at most 32 bits. */
  u32(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) return value;
    }
  }

  /** Steps over a LEB128 of any width and sign. */
  skipLeb(): void {
    while ((this.byte() & 0x80) !== 0);
  }
}

export function leb(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

/** A signed LEB128 of a number that is not negative. */
export function signedLeb(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x40) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

/** Bytes with their length before them. */
export function vector(bytes: Uint8Array): Uint8Array {
  return joined(leb(bytes.length), bytes);
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
