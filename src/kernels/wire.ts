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
  ids_at: KernelFunction;
  cut: KernelFunction;
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
    const status: WireStatus = measure(body.length, reply ? 1 : 0);
    const words = this.#words;
    const found = this.#found;
    if (status !== WireStatus.Ok) {
      return { status, failedAt: words[found + 2] as number, items: 0, form: 0, holes: noHoles, signature: '' };
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
    if (rows.length > this.#cutsMax) return null;
    this.#words.set(rows, this.#cuts);
    if (!this.#kernel.cut(hole, rows.length, perRow)) return null;
    const ends: number[] = [];
    for (let i = 0; i < rows.length; i++) ends.push(this.#words[this.#cuts + i] as number);
    return ends;
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

const noHoles: readonly Hole[] = [];
