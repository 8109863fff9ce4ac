// What a protocol can do with JSON bodies: measure one, merge several into one, and split the answer again.
import type { KernelFlavour } from '../kernels/load.ts';
import { createWire } from '../kernels/wire.ts';
import { createV1 } from './v1.ts';
import { createV2 } from './v2.ts';

/** A valid body that may share a batch with others of the same signature (and the same lane otherwise). */
export interface Measured {
  /** Rows in the body, at least 1. */
  readonly items: number;
  /**
   * All in the body that must be equal for two requests to share a batch: exact bytes while short, a SHA-256 of them
   * above that, so that no caller can craft a collision.
   */
  readonly signature: string;
  /** V2 parameter `timeout`, in microseconds. It does not split lanes and is not sent on in a merged body. */
  readonly timeoutUs?: number;
  /** V2 parameter `priority`; 1 is the highest, 0 the default level. Treated like `timeout`. */
  readonly priority?: number;
}

/** A body that no server could read as JSON, or whose tensor data contradicts its shape. To be answered with 400. */
export interface BodyRefusal {
  readonly refused: true;
  /** One of the `PL_BODY_...` codes. */
  readonly code: string;
  readonly message: string;
  /** Bytes from the start of the body to what is wrong. */
  readonly offset: number;
}

/** `pass-through`: valid or not ours to judge, but not to be merged; forward it unchanged and alone. */
export type Measurement = Measured | BodyRefusal | 'pass-through';

/** A request and what this protocol's `measure` said of it. */
export interface MergeInput {
  readonly body: Buffer;
  readonly measured: Measured;
}

/**
 * Why a reply cannot be split. `not-json`: not a strict JSON object. `count`: not as many rows as were asked.
 * `shape`: JSON, but not a reply that can be divided by rows.
 */
export interface SplitFailure {
  readonly failed: 'not-json' | 'count' | 'shape';
  readonly message: string;
}

/** One inference protocol in JSON. Buffers that are given are never changed, and never kept after a call. */
export interface BatchProtocol {
  readonly name: 'v1' | 'v2';

  /** Validates one complete body of at most 4 MB (a larger one passes through). */
  measure(body: Buffer): Measurement;

  /**
   * One body for all requests, in order, as a list of slices; small pieces are copied together. Numbers and strings
   * keep their bytes. A single request is its own body, unchanged.
   *
   * The requests must have equal signatures.
   */
  merge(requests: readonly MergeInput[]): Buffer[];

  /**
   * One list of slices a request, in order: what the model would have answered to it alone. The reply to a single
   * request is returned as it is.
   */
  split(reply: Buffer, requests: readonly MergeInput[]): Buffer[][] | SplitFailure;
}

/** Both protocols on one instance of the wire kernel. */
export function createProtocols(flavour?: KernelFlavour): { v1: BatchProtocol; v2: BatchProtocol } {
  const wire = createWire(flavour);
  return { v1: createV1(wire), v2: createV2(wire) };
}
