import type { OutgoingHttpHeaders } from 'node:http2';
import { jsonLengthHeader } from '../../protocol/binary-header.ts';

// Which headers travel, and which keep requests apart. Raw headers are flat lists: name, value, name, value.

const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'expect',
]);

/** Headers that say nothing about what is asked: requests that differ only in these may share a batch. */
export const neutralHeaders: ReadonlySet<string> = new Set([
  ...hopByHop,
  'content-length',
  jsonLengthHeader,
  'date',
  'user-agent',
  'accept-encoding',
  'forwarded',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-real-ip',
  'x-envoy-attempt-count',
  'x-envoy-external-address',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-decorator-operation',
  'x-request-id',
  'x-correlation-id',
  'traceparent',
  'tracestate',
  'baggage',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'k-proxy-request',
  'paceline-timeout-ms',
  'paceline-priority',
  'paceline-tenant',
  'x-gateway-inference-fairness-id',
  'grpc-timeout',
  'grpc-encoding',
  'grpc-accept-encoding',
  'grpc-previous-rpc-attempts',
  'grpc-trace-bin',
]);

/** The headers that say which trace a request belongs to. */
const ofTrace = new Set([
  'traceparent',
  'tracestate',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'grpc-trace-bin',
]);

/** The headers that a batch takes from its first request though they differ: they say where it came from. */
const carriedBySome = new Set([...ofTrace, 'x-request-id', 'user-agent', 'k-proxy-request']);

/** Headers of a model's reply to a batch that hold for every caller. */
const sharedReply = new Set([
  'content-type',
  'content-language',
  'cache-control',
  'retry-after',
  'server',
  // 401 and 405 are none without these (RFC 9110, 15.5.2 and 15.5.6).
  'www-authenticate',
  'allow',
]);

/** The non-neutral headers of a request, sorted and joined: equal for requests that may share a batch. */
export function headersKey(raw: readonly string[], shared: ReadonlySet<string>): string {
  const kept: string[] = [];
  eachEndToEnd(raw, (name, _sent, value) => {
    if (!neutralHeaders.has(name) && !shared.has(name)) kept.push(`${name}: ${value}`);
  });
  return kept.sort().join('\n');
}

/**
 * The headers of a call that carries several requests.
 *
 * @param traceparent of the call's own trace, in the place of all that says of another one: a `tracestate` belongs to its
 * `traceparent`, and who reads B3 would go on in the trace of one caller
 */
export function batchHeaders(raw: readonly string[], shared: ReadonlySet<string>, traceparent?: string): string[] {
  const headers: string[] = ['accept-encoding', 'identity'];
  if (traceparent !== undefined) headers.push('traceparent', traceparent);
  eachEndToEnd(raw, (name, sent, value) => {
    if (traceparent !== undefined && ofTrace.has(name)) return;
    const kept = carriedBySome.has(name) || (!neutralHeaders.has(name) && !shared.has(name));
    if (kept) headers.push(sent, value);
  });
  return headers;
}

/** All headers of a request or reply that a proxy may hand on: hop-by-hop ones end here. */
export function forwardHeaders(raw: readonly string[], keepLength: boolean): string[] {
  const headers: string[] = [];
  eachEndToEnd(raw, (name, sent, value) => {
    if (keepLength || name !== 'content-length') headers.push(sent, value);
  });
  return headers;
}

/** The headers of a reply that every caller of a batch may see. */
export function sharedReplyHeaders(raw: readonly string[]): string[] {
  const headers: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    if (sharedReply.has((raw[i] as string).toLowerCase())) headers.push(raw[i] as string, raw[i + 1] as string);
  }
  return headers;
}

/** Gives a header of a raw list another value, once, or adds it. */
export function setHeader(raw: string[], name: string, value: string): void {
  let at = -1;
  for (let i = raw.length - 2; i >= 0; i -= 2) {
    const each = raw[i] as string;
    if (each.length !== name.length || each.toLowerCase() !== name) continue;
    if (at >= 0) raw.splice(at, 2);
    at = i;
  }
  if (at >= 0) raw[at + 1] = value;
  else raw.push(name, value);
}

/** Takes headers out of a raw list, by names in lower case. */
export function removeHeaders(raw: string[], names: readonly string[]): void {
  for (let i = raw.length - 2; i >= 0; i -= 2) {
    if (names.includes((raw[i] as string).toLowerCase())) raw.splice(i, 2);
  }
}

/** A flat list of headers without one of them. */
export function without(headers: readonly string[], name: string): string[] {
  return headers.filter((_, i) => (headers[i - (i % 2)] as string).toLowerCase() !== name);
}

/** The value of a header in a raw list, or undefined. */
export function headerIn(raw: readonly string[], name: string): string | undefined {
  for (let i = 0; i < raw.length; i += 2) if ((raw[i] as string).toLowerCase() === name) return raw[i + 1];
  return undefined;
}

/**
 * Visits the headers that travel end to end: name in lower case, name as sent, value. What HTTP/2 says otherwise is said as
 * HTTP/1.1 has it: `:authority` is `host`, whatever a `host` beside it says, and the crumbs of a cookie are one (RFC 9113,
 * 8.3.1 and 8.2.3).
 */
function eachEndToEnd(raw: readonly string[], visit: (name: string, sent: string, value: string) => void): void {
  const dropped = listedInConnection(raw);
  let hostSeen = false;
  let cookie: string | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    let sent = raw[i] as string;
    const value = raw[i + 1] as string;
    if (sent === ':authority') sent = 'host';
    const name = sent.toLowerCase();
    if (hopByHop.has(name) || dropped?.has(name) || name.charCodeAt(0) === 0x3a) continue;
    if (name === 'cookie') {
      cookie = cookie === undefined ? value : `${cookie}; ${value}`;
      continue;
    }
    if (name === 'host') {
      if (hostSeen) continue;
      hostSeen = true;
    }
    visit(name, sent, value);
  }
  if (cookie !== undefined) visit('cookie', 'cookie', cookie);
}

/** Headers that HTTP/2 has once, as Node holds it: a second line of one is joined to the first. */
const once = new Set([
  'access-control-allow-credentials',
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'etag',
  'expires',
  'from',
  'host',
  'if-match',
  'last-modified',
  'location',
  'referer',
  'retry-after',
  'user-agent',
]);

/**
 * Headers or trailers that came over HTTP/2, as Node takes them for HTTP/2: pseudo headers and `te: trailers` too, in their
 * order, values byte for byte, a name that comes twice as a list.
 */
export function http2Fields(raw: readonly string[]): OutgoingHttpHeaders {
  const fields: Record<string, string | string[]> = Object.create(null);
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (hopByHop.has(name) && !(name === 'te' && value === 'trailers') && name !== 'trailer') continue;
    const before = fields[name];
    if (before === undefined) fields[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else if (name === 'te') continue;
    else fields[name] = once.has(name) ? `${before}, ${value}` : [before, value];
  }
  return fields;
}

/** The names that `Connection` lists in any of its lines: they are for the next hop, which is us. */
function listedInConnection(raw: readonly string[]): Set<string> | undefined {
  let listed: Set<string> | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (name.length !== connectionLength || name.toLowerCase() !== 'connection') continue;
    const value = raw[i + 1] as string;
    if (/^(?:keep-alive|close)$/i.test(value)) continue;
    listed ??= new Set();
    for (const each of value.split(',')) listed.add(each.trim().toLowerCase());
  }
  return listed;
}

const connectionLength = 'connection'.length;

/**
 * Headers of a reply as HTTP/2 has them: no connection's own, names in lower case, one line a name (Node refuses a second
 * `etag` or `content-type`). Cookies stay apart.
 */
export function forHttp2(raw: readonly string[]): string[] {
  const kept: string[] = [];
  const placeOf = new Map<string, number>();
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (hopByHop.has(name)) continue;
    const place = name === 'set-cookie' ? undefined : placeOf.get(name);
    if (place === undefined) {
      placeOf.set(name, kept.length + 1);
      kept.push(name, raw[i + 1] as string);
    } else kept[place] += `, ${raw[i + 1]}`;
  }
  return kept;
}
