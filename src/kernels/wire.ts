import { HoleKind, WireAbi, WireStatus } from '../../assembly/wire/codes.ts';
import { instantiateKernel, type KernelFlavour } from './load.ts';

export { HoleKind, WireStatus };

type KernelFunction = (...args: number[]) => number;

interface WireExports {
  memory: WebAssembly.Memory;
  abi_version: KernelFunction;
  body_at: KernelFunction;
  body_max: KernelFunction;
  holes_at: KernelFunction;
  hole_count: KernelFunction;
  cuts_at: KernelFunction;
  cuts_max: KernelFunction;
  failed_at: KernelFunction;
  measured_items: KernelFunction;
  measured_form: KernelFunction;
  validate: KernelFunction;
  measure_v1: KernelFunction;
  measure_v2: KernelFunction;
  cut: KernelFunction;
}

/** Part of a body that differs between bodies of one lane. Offsets in bytes. */
export interface Hole {
  readonly kind: HoleKind;
  readonly start: number;
  readonly end: number;
  /** Elements of a list, or the value of a first dimension. */
  readonly rows: number;
}

/** What the kernel found. `failedAt` is an offset and means something only where `status` is not Ok. */
export interface Scan {
  readonly status: WireStatus;
  readonly failedAt: number;
  readonly items: number;
  /** A hash of how the rows are formed; 0 where they differ among themselves. */
  readonly form: number;
  readonly holes: readonly Hole[];
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

  /** @throws {Error} if the kernel's boundary is of another version than this host's. */
  constructor(flavour?: KernelFlavour) {
    this.#kernel = instantiateKernel('wire', flavour) as unknown as WireExports;
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
    const holes: Hole[] = [];
    const count = status === WireStatus.Ok ? this.#kernel.hole_count() : 0;
    for (let i = 0; i < count; i++) {
      const at = this.#holes + i * 4;
      const [kind, start, end, rows] = this.#words.subarray(at, at + 4) as unknown as [
        HoleKind,
        number,
        number,
        number,
      ];
      holes.push({ kind, start, end, rows });
    }
    return {
      status,
      failedAt: this.#kernel.failed_at() >>> 0,
      items: this.#kernel.measured_items() >>> 0,
      form: this.#kernel.measured_form() >>> 0,
      holes,
    };
  }

  /**
   * Where the parts of a list of the body measured last end, in bytes from the body's start; null if the list does not
   * have exactly sum(rows) x perRow elements.
   */
  cut(hole: number, rows: readonly number[], perRow: number): number[] | null {
    if (rows.length > this.#cutsMax) return null;
    this.#words.set(rows, this.#cuts);
    if (!this.#kernel.cut(hole, rows.length, perRow)) return null;
    return [...this.#words.subarray(this.#cuts, this.#cuts + rows.length)];
  }
}
