import { HoleKind, WireAbi, WireStatus } from '../../assembly/wire/codes.ts';
import { instantiateKernel, type KernelSource } from './load.ts';
import { type Hole, TemplateSignatures } from './wire-templates.ts';

export { type Hole, HoleKind, WireStatus };

type KernelFunction = (...args: number[]) => number;

interface WireExports {
  memory: WebAssembly.Memory;
  abi_version: KernelFunction;
  body_at: KernelFunction;
  body_max: KernelFunction;
  holes_at: KernelFunction;
  found_at: KernelFunction;
  cuts_at: KernelFunction;
  cuts_max: KernelFunction;
  validate: KernelFunction;
  measure_v1: KernelFunction;
  measure_v2: KernelFunction;
  measure_raw: KernelFunction;
  ids_at: KernelFunction;
  cut: KernelFunction;
  cut_strings: KernelFunction;
  cut_elements: KernelFunction;
  message_begin: KernelFunction;
  message_step: KernelFunction;
  message_end: KernelFunction;
  render: KernelFunction;
}

/** What the kernel found. All but the status and `failedAt` mean something only where the status is Ok. */
export interface Scan {
  readonly status: WireStatus;
  /** Offset of the failure. */
  readonly failedAt: number;
  readonly items: number;
  /** A hash of how the rows are formed; 0 where they differ among themselves. */
  readonly form: number;
  readonly holes: readonly Hole[];
  /** Equal for requests of equal templates and forms, and for no others; empty for replies. */
  readonly signature: string;
}

/** One instance of wire.wasm: a window that bodies are copied into, one at a time. */
export class WireKernel {
  /** Largest body, in bytes. */
  readonly bodyMax: number;
  readonly #kernel: WireExports;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #body: number;
  readonly #holes: number;
  readonly #cuts: number;
  readonly #cutsMax: number;
  readonly #ids: number;
  readonly #found: number;
  readonly #signatures = new TemplateSignatures();

  /** @throws {Error} if the kernel's boundary is of another version than this host's. */
  constructor(from?: KernelSource) {
    this.#kernel = instantiateKernel('wire', from) as unknown as WireExports;
    if (this.#kernel.abi_version() !== WireAbi.Version) {
      throw new Error('wire.wasm does not fit this program: run `npm run build` so that both are of one version');
    }
    this.#bytes = new Uint8Array(this.#kernel.memory.buffer);
    this.#words = new Uint32Array(this.#kernel.memory.buffer);
    this.bodyMax = this.#kernel.body_max();
    this.#body = this.#kernel.body_at();
    this.#holes = this.#kernel.holes_at() >>> 2;
    this.#cuts = this.#kernel.cuts_at() >>> 2;
    this.#cutsMax = this.#kernel.cuts_max();
    this.#ids = this.#kernel.ids_at() >>> 2;
    this.#found = this.#kernel.found_at() >>> 2;
  }

  /** Whether a body of at most `bodyMax` bytes is one JSON text. */
  validate(body: Uint8Array): WireStatus {
    this.#bytes.set(body, this.#body);
    return this.#kernel.validate(body.length);
  }

  /** Validates and measures a request, or a reply. The body stays in the window for `cut`. */
  measure(protocol: 'v1' | 'v2', body: Uint8Array, reply: boolean): Scan {
    this.#bytes.set(body, this.#body);
    const measure = protocol === 'v1' ? this.#kernel.measure_v1 : this.#kernel.measure_v2;
    return this.#scan(measure(body.length, reply ? 1 : 0), body, reply);
  }

  /**
   * The same for a V2 body whose first `jsonBytes` bytes are JSON, with raw tensors behind it. The tensors do not come into
   * the window, but those of BYTES in a request, whose lengths are checked here; in a reply `cutStrings` does that.
   */
  measureRaw(body: Uint8Array, jsonBytes: number, reply: boolean): Scan {
    if (jsonBytes > body.length) return failed(WireStatus.Raw, body.length);
    this.#bytes.set(body.subarray(0, jsonBytes), this.#body);
    const scan = this.#scan(this.#kernel.measure_raw(jsonBytes, body.length - jsonBytes, reply ? 1 : 0), body, reply);
    return reply ? scan : this.#checkStrings(scan, body);
  }

  /**
   * Validates and measures a ModelInferRequest of gRPC, or a ModelInferResponse. It is read piece by piece, so that raw
   * tensors do not come into the window, but those of BYTES in a request, whose lengths are checked. `TooMany`: what is not
   * raw is larger than the window.
   */
  measureMessage(message: Uint8Array, reply: boolean): Scan {
    const kernel = this.#kernel;
    kernel.message_begin(reply ? 1 : 0);
    let window = 0;
    let most = firstPieceMax;
    for (let at = 0; at < message.length; ) {
      const left = message.length - at;
      const bytes = Math.min(most, left);
      if (window + bytes > this.bodyMax) return failed(WireStatus.TooMany, at);
      this.#bytes.set(message.subarray(at, at + bytes), this.#body + window);
      const done = kernel.message_step(window, bytes, left) >>> 0;
      if (done === stepFailed) break;
      at += done;
      window = this.#words[this.#found + 5] as number;
      most = done === 0 ? most * 8 : firstPieceMax;
    }
    const scan = this.#scan(kernel.message_end(message.length, reply ? 1 : 0), message, reply);
    return reply ? scan : this.#checkStrings(scan, message);
  }

  /** The BYTES tensors of a request; what is in the window is not needed any more. */
  #checkStrings(scan: Scan, body: Uint8Array): Scan {
    for (const { kind, start, end, rows } of scan.holes) {
      if (kind !== HoleKind.RawStrings) continue;
      if (!this.cutStrings(body.subarray(start, end), 0, [rows], 1)) return failed(WireStatus.Raw, start);
    }
    return scan;
  }

  #scan(status: WireStatus, body: Uint8Array, reply: boolean): Scan {
    const words = this.#words;
    const found = this.#found;
    if (status !== WireStatus.Ok) {
      return failed(status, words[found + 2] as number);
    }
    const holes: Hole[] = [];
    const end = this.#holes + (words[found + 3] as number) * 4;
    for (let at = this.#holes; at < end; at += 4) {
      holes.push({
        kind: words[at] as HoleKind,
        start: words[at + 1] as number,
        end: words[at + 2] as number,
        rows: words[at + 3] as number,
      });
    }
    const form = words[found + 1] as number;
    const signature = reply ? '' : this.#signatures.of(words[found + 4] as number, body, holes, form);
    return { status, failedAt: 0, items: words[found] as number, form, holes, signature };
  }

  /**
   * Where the parts of a list of the body measured last end, in bytes from the body's start; null if the list does not
   * have exactly sum(rows) x perRow elements.
   */
  cut(hole: number, rows: readonly number[], perRow: number): number[] | null {
    return this.#cutWith(this.#kernel.cut, hole, rows, perRow);
  }

  /** The same for elements of a message, which follow each other without a separator. */
  cutElements(hole: number, rows: readonly number[], perRow: number): number[] | null {
    return this.#cutWith(this.#kernel.cut_elements, hole, rows, perRow);
  }

  #cutWith(cut: KernelFunction, hole: number, rows: readonly number[], perRow: number): number[] | null {
    if (rows.length > this.#cutsMax) return null;
    this.#words.set(rows, this.#cuts);
    if (!cut(hole, rows.length, perRow)) return null;
    const ends: number[] = [];
    for (let i = 0; i < rows.length; i++) ends.push(this.#words[this.#cuts + i] as number);
    return ends;
  }

  /**
   * Where the parts of a BYTES tensor end, in bytes from its start, each behind `rows[i] x perRow` elements; null if the
   * lengths in it do not fill it exactly. It is copied behind the first `windowed` bytes of the window, which stay.
   */
  cutStrings(tensor: Uint8Array, windowed: number, rows: readonly number[], perRow: number): number[] | null {
    if (rows.length > this.#cutsMax || windowed + tensor.length > this.bodyMax) return null;
    this.#bytes.set(tensor, this.#body + windowed);
    this.#words.set(rows, this.#cuts);
    if (!this.#kernel.cut_strings(windowed, tensor.length, rows.length, perRow)) return null;
    return Array.from(this.#words.subarray(this.#cuts, this.#cuts + rows.length));
  }

  /**
   * The parts of a small reply of `length` bytes, measured last: its template filled with the rows of `items[i]` items
   * and their number, and room for an id of `ids[i]` bytes at `idsAt[i]` of the part. Null where it has to be cut.
   */
  render(
    length: number,
    items: readonly number[],
    ids: readonly number[],
  ): { parts: Buffer[]; idsAt: number[] } | null {
    const count = items.length;
    if (count > this.#cutsMax) return null;
    const words = this.#words;
    for (let i = 0; i < count; i++) {
      words[this.#cuts + i] = items[i] as number;
      words[this.#ids + i] = ids[i] as number;
    }
    if (!this.#kernel.render(length, count)) return null;
    const start = words[this.#found + 5] as number;
    const end = words[this.#cuts + count - 1] as number;
    const all = Buffer.from(this.#bytes.subarray(this.#body + start, this.#body + end));
    const parts: Buffer[] = [];
    const idsAt: number[] = [];
    let from = start;
    for (let i = 0; i < count; i++) {
      const to = words[this.#cuts + i] as number;
      parts.push(all.subarray(from - start, to - start));
      idsAt.push((words[this.#ids + i] as number) - from);
      from = to;
    }
    return { parts, idsAt };
  }
}

/** A message is read in pieces of so many bytes at first: mostly all of it but the tensors. */
const firstPieceMax = 1024;
const stepFailed = 0xffffffff;
const noHoles: readonly Hole[] = [];

function failed(status: WireStatus, failedAt: number): Scan {
  return { status, failedAt, items: 0, form: 0, holes: noHoles, signature: '' };
}
