import type { Hole } from '../kernels/wire.ts';

/** A body that may be batched. */
export interface Measured {
  readonly items: number;
  /** Equal for bodies that may be merged: all bytes outside the holes, and the form of the rows. */
  readonly signature: string;
  /** Rows of one form; a body of mixed rows is served by itself. */
  readonly uniform: boolean;
  readonly holes: readonly Hole[];
  /** The request parameters `timeout` (microseconds) and `priority`, V2 only. */
  readonly timeoutUs?: number | undefined;
  readonly priority?: number | undefined;
}

/** A body that must not enter a batch: 400 with this code. */
export interface BodyRefusal {
  readonly refused: true;
  readonly code: string;
  readonly message: string;
  readonly offset: number;
}

export type Measurement = Measured | BodyRefusal | 'pass-through';

export interface MergeInput {
  readonly body: Buffer;
  readonly measured: Measured;
}

/** Why a reply could not be split among its callers. */
export interface SplitFailure {
  readonly failed: 'not-json' | 'count' | 'shape' | 'too-large';
  readonly message: string;
}

/** How requests of one protocol become a batch and its reply becomes replies. Bodies are complete and stay in Buffers. */
export interface BatchProtocol {
  readonly name: 'v1' | 'v2';
  /** Bytes of the largest reply that can be split. */
  readonly replyMax: number;
  measure(body: Buffer): Measurement;
  /** Slices of one merged body; a single request is its own body. All must have one signature. */
  merge(requests: readonly MergeInput[]): Buffer[];
  /** For each request, in order, the slices of its reply. */
  split(reply: Buffer, requests: readonly MergeInput[]): Buffer[][] | SplitFailure;
}
