import type { Hole } from '../kernels/wire.ts';

/** Protocols whose requests are batched. */
export type ProtocolName = 'v1' | 'v2' | 'grpc';

/** A body that may be batched. */
export interface Measured {
  readonly items: number;
  /** Equal for bodies that may be merged: all bytes outside the holes, and the form of the rows. */
  readonly signature: string;
  /** Rows of one form; a body of mixed rows is served by itself. */
  readonly uniform: boolean;
  readonly holes: readonly Hole[];
  /** Where raw tensors follow: the length of the JSON before them. */
  readonly jsonBytes?: number | undefined;
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

/** What was made of bodies, in slices: what goes to the model, or one caller's part of its reply. */
export interface Spliced {
  readonly slices: Buffer[];
  /** Where raw tensors stand behind JSON: the length of the JSON, which a header of its own announces. */
  readonly jsonBytes?: number | undefined;
}

/** Why a reply could not be split among its callers. */
export interface SplitFailure {
  readonly failed: 'not-json' | 'not-protobuf' | 'count' | 'shape' | 'too-large';
  readonly message: string;
}

/** How requests of one protocol become a batch and its reply becomes replies. Bodies are complete and stay in Buffers. */
export interface BatchProtocol {
  readonly name: ProtocolName;
  /** @param jsonBytes where raw tensors follow: the length of the JSON before them. */
  measure(body: Buffer, jsonBytes?: number): Measurement;
  /** Whether a reply is small enough to be split. */
  fits(reply: Buffer, jsonBytes?: number): boolean;
  /** One merged body; a single request is its own body. All must have one signature. */
  merge(requests: readonly MergeInput[]): Spliced;
  /** For each request, in order, its reply. */
  split(reply: Buffer, requests: readonly MergeInput[], jsonBytes?: number): Spliced[] | SplitFailure;
}
