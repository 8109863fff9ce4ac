import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BatchProtocol, MergeInput, Spliced, SplitFailure } from '../../protocol/protocol.ts';
import type { TraceContext } from '../../telemetry/trace-context.ts';
import type { ErrorCode } from '../errors.ts';
import type { UpstreamEnd, UpstreamReply } from '../upstream/upstream.ts';

/** What a carrier has to know of a request. Times in ms. */
export interface Carried extends MergeInput {
  readonly request: IncomingMessage;
  readonly protocol: BatchProtocol;
  readonly receivedAt: number;
  readonly hardDeadline: number;
  /** Its caller used the name of the variants' group, and must find that in the reply. */
  readonly renamed: boolean;
  /** Of the call that it shares, where calls are traced. */
  readonly batchSpan: TraceContext | undefined;
}

/** What a reply of the model means for the requests of its call. */
export interface Judgement {
  /** `too-large`: it refuses the size. `content`: a refusal that may be the fault of one request among several. */
  readonly kind: 'answered' | 'too-large' | 'content' | 'refused';
  /** What the call counts as, and a request that ends with it. */
  readonly label: string;
  readonly reason: string;
  /** The model failed, and not its callers. */
  readonly fault: boolean;
}

/** How bodies travel to the model and back to callers: what merging and splitting them does not know of. */
export interface Carrier {
  /** Bodies of one call hold at most this many bytes; a batch of more goes in parts, one after the other. */
  readonly callBytesMax: number;
  /** Sends one call for these requests; `done` is called once. Returns what cancels it, which ends it as `aborted`. */
  send(part: readonly Carried[], merged: Spliced, done: (end: UpstreamEnd) => void): () => void;
  /** How a call of these requests ended, with the names that its callers used. */
  restored(part: readonly Carried[], end: UpstreamEnd): UpstreamEnd;
  judge(reply: UpstreamReply): Judgement;
  /** Whether a reply is small enough to be split. */
  fits(part: readonly Carried[], reply: UpstreamReply): boolean;
  /** Each request's part of a reply; one request gets all of it. */
  split(part: readonly Carried[], reply: UpstreamReply): Spliced[] | SplitFailure;
  /** What writes the answers to `of` callers of one reply. `timing`: where the time went, as `Server-Timing` has it. */
  writer(reply: UpstreamReply, of: number): (response: ServerResponse, own: Spliced, timing?: string) => void;
  /** Answers with an error of ours. */
  fail(response: ServerResponse, code: ErrorCode, message?: string): void;
}
