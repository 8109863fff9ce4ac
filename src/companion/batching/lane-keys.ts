import type { IncomingMessage } from 'node:http';
import { headersKey, neutralHeaders } from '../http/headers.ts';
import { LaneTable } from './lanes.ts';

/** Characters of a head beyond which it is not remembered: thousands of connections may have nothing to do for long. */
const headMax = 4096;

/** The last request of a connection, and its lane. */
interface Known {
  readonly raw: readonly string[];
  readonly url: string;
  readonly signature: string;
  readonly key: string;
}

/**
 * The lane keys of requests. A connection mostly asks the same thing again: then its last key is the answer, and the same
 * string, whose hash is known.
 */
export class LaneKeys {
  readonly #shared: ReadonlySet<string>;
  readonly #last = new WeakMap<object, Known>();

  /** @param shared headers that may differ within a batch. */
  constructor(shared: ReadonlySet<string>) {
    this.#shared = shared;
  }

  /** @param model whom it is for, where the URL does not say: over gRPC one URL serves all models */
  keyOf(request: IncomingMessage, signature: string, model = ''): string {
    const { rawHeaders: raw, url = '', socket } = request;
    // All streams of an HTTP/2 connection share a socket, and each wraps it anew.
    const kept = request.httpVersionMajor < 2;
    const known = kept ? this.#last.get(socket) : undefined;
    if (known && known.signature === signature && known.url === url && sameHeaders(known.raw, raw)) return known.key;
    const target = model === '' ? url : `${url} ${model}`;
    const key = LaneTable.keyOf(target, headersKey(raw, this.#shared), signature);
    if (kept && isShort(raw)) this.#last.set(socket, { raw, url, signature, key });
    return key;
  }
}

function isShort(raw: readonly string[]): boolean {
  let length = 0;
  for (const each of raw) length += each.length;
  return length <= headMax;
}

/** Whether two raw lists are alike but for the values of neutral headers. `Connection` says which others count. */
function sameHeaders(one: readonly string[], other: readonly string[]): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) {
    if (one[i] === other[i]) continue;
    const name = i & 1 ? (one[i - 1] as string).toLowerCase() : '';
    if (name === 'connection' || !neutralHeaders.has(name)) return false;
  }
  return true;
}
