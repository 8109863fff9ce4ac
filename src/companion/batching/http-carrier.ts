import type { ServerResponse } from 'node:http';
import { jsonBytesIn, jsonLengthHeader } from '../../protocol/binary-header.ts';
import type { Spliced, SplitFailure } from '../../protocol/protocol.ts';
import { traceparentOf } from '../../telemetry/trace-context.ts';
import { writeError, writeReply } from '../answering/http-answer.ts';
import type { UnreadReplies } from '../answering/unread-replies.ts';
import { batchHeaders, forwardHeaders, headerIn, setHeader, sharedReplyHeaders } from '../http/headers.ts';
import type { Renaming, VariantName } from '../http/variant-name.ts';
import { lengthOf, type Upstream, type UpstreamEnd, type UpstreamReply } from '../upstream/upstream.ts';
import type { Carried, Carrier, Judgement } from './carrier.ts';

/** Refusals that may be the fault of one request among several. KServe answers 500 to bad input. */
const contentRefusals = new Set([400, 422, 500]);
const tooLarge = 413;

/** V1 and V2 over HTTP: one body a call, headers of the first request where several share it. */
export class HttpCarrier implements Carrier {
  readonly callBytesMax = 16 * 1024 * 1024;
  readonly fail = writeError;
  readonly #upstream: Upstream;
  readonly #sharedHeaders: ReadonlySet<string>;
  readonly #variant: VariantName | undefined;
  readonly #unread: UnreadReplies;

  constructor(
    upstream: Upstream,
    sharedHeaders: ReadonlySet<string>,
    variant: VariantName | undefined,
    unread: UnreadReplies,
  ) {
    this.#unread = unread;
    this.#upstream = upstream;
    this.#sharedHeaders = sharedHeaders;
    this.#variant = variant;
  }

  send(part: readonly Carried[], { slices, jsonBytes }: Spliced, done: (end: UpstreamEnd) => void): () => void {
    const { request, batchSpan } = part[0] as Carried;
    const raw = request.rawHeaders;
    const trace = batchSpan && traceparentOf(batchSpan);
    const headers = part.length === 1 ? forwardHeaders(raw, false) : batchHeaders(raw, this.#sharedHeaders, trace);
    // A name can be changed only in a reply that is not encoded.
    if (this.#renaming(part)) setHeader(headers, 'accept-encoding', 'identity');
    const target = request.url as string;
    return this.#upstream.send(target, withJsonBytes(headers, jsonBytes), slices, done);
  }

  restored(part: readonly Carried[], end: UpstreamEnd): UpstreamEnd {
    const renaming = this.#renaming(part);
    return renaming && !('failure' in end) ? restored(end, (json) => renaming.whole(json)) : end;
  }

  /** What gives the group its name back in the reply; undefined where nothing has to. */
  #renaming(part: readonly Carried[]): Renaming | undefined {
    const { request, renamed } = part[0] as Carried;
    return renamed ? this.#variant?.restoring(request.url as string) : undefined;
  }

  judge({ status }: UpstreamReply): Judgement {
    const kind =
      status < 400
        ? 'answered'
        : status === tooLarge
          ? 'too-large'
          : contentRefusals.has(status)
            ? 'content'
            : 'refused';
    return { kind, label: `${Math.floor(status / 100)}xx`, reason: `upstream-${status}`, fault: status >= 500 };
  }

  fits(part: readonly Carried[], { body, headers }: UpstreamReply): boolean {
    return (part[0] as Carried).protocol.fits(body, jsonBytesOf(headers));
  }

  split(part: readonly Carried[], { headers, body }: UpstreamReply): Spliced[] | SplitFailure {
    const jsonBytes = jsonBytesOf(headers);
    if (part.length === 1) return [{ slices: [body], jsonBytes }];
    const encoding = headerIn(headers, 'content-encoding');
    if (encoding !== undefined && encoding !== 'identity') {
      return { failed: 'not-json', message: `the model encodes its reply as ${encoding} though it was asked not to` };
    }
    return (part[0] as Carried).protocol.split(body, part, jsonBytes);
  }

  writer({ status, headers }: UpstreamReply, of: number) {
    const shared = of === 1 ? forwardHeaders(headers, false) : sharedReplyHeaders(headers);
    return (response: ServerResponse, { slices, jsonBytes }: Spliced, timing?: string): void => {
      const own = [...shared];
      if (timing !== undefined) own.push('server-timing', timing);
      writeReply(response, status, of === 1 ? own : withJsonBytes(own, jsonBytes), slices);
      this.#unread.wrote(response, lengthOf(slices));
    };
  }
}

function jsonBytesOf(headers: readonly string[]): number | undefined {
  return jsonBytesIn(headerIn(headers, jsonLengthHeader));
}

/** These headers, which are changed, with the right length of the JSON in them, where there is one. */
function withJsonBytes(headers: string[], jsonBytes: number | undefined): string[] {
  if (jsonBytes !== undefined) setHeader(headers, jsonLengthHeader, String(jsonBytes));
  return headers;
}

/** A reply whose JSON was changed, with what is behind it as it is. */
function restored(reply: UpstreamReply, change: (json: Buffer) => Buffer): UpstreamReply {
  const jsonBytes = jsonBytesOf(reply.headers);
  if (jsonBytes === undefined) return { ...reply, body: change(reply.body) };
  if (jsonBytes > reply.body.length) return reply;
  const json = change(reply.body.subarray(0, jsonBytes));
  return {
    ...reply,
    headers: withJsonBytes([...reply.headers], json.length),
    body: Buffer.concat([json, reply.body.subarray(jsonBytes)]),
  };
}
