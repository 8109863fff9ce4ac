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
]);

/** The headers that a batch takes from its first request though they differ: they say where it came from. */
const carriedBySome = new Set(['traceparent', 'tracestate', 'x-request-id', 'b3', 'user-agent', 'k-proxy-request']);

/** Headers of a model's reply to a batch that hold for every caller. */
const sharedReply = new Set(['content-type', 'content-language', 'cache-control', 'retry-after', 'server']);

/** The non-neutral headers of a request, sorted and joined: equal for requests that may share a batch. */
export function headersKey(raw: readonly string[], shared: ReadonlySet<string>): string {
  const kept: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (neutralHeaders.has(name) || shared.has(name) || name.charCodeAt(0) === 0x3a) continue;
    kept.push(`${name}: ${raw[i + 1]}`);
  }
  return kept.sort().join('\n');
}

/** The headers of a call that carries several requests. */
export function batchHeaders(raw: readonly string[], shared: ReadonlySet<string>): string[] {
  const headers: string[] = ['accept-encoding', 'identity'];
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (name.charCodeAt(0) === 0x3a) continue;
    const kept = carriedBySome.has(name) || (!neutralHeaders.has(name) && !shared.has(name));
    if (kept) headers.push(raw[i] as string, raw[i + 1] as string);
  }
  return withHost(headers, raw);
}

/** All headers of a request that a proxy may hand on: hop-by-hop ones end here. */
export function forwardHeaders(raw: readonly string[], keepLength: boolean): string[] {
  const dropped = listedInConnection(raw);
  const headers: string[] = [];
  let hostSeen = false;
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (hopByHop.has(name) || dropped?.has(name) || name.charCodeAt(0) === 0x3a) continue;
    if (name === 'content-length' && !keepLength) continue;
    if (name === 'host') {
      if (hostSeen) continue;
      hostSeen = true;
    }
    headers.push(raw[i] as string, raw[i + 1] as string);
  }
  return hostSeen ? headers : withHost(headers, raw);
}

/** The headers of a reply that every caller of a batch may see. */
export function sharedReplyHeaders(raw: readonly string[]): string[] {
  const headers: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    if (sharedReply.has((raw[i] as string).toLowerCase())) headers.push(raw[i] as string, raw[i + 1] as string);
  }
  return headers;
}

/** The value of a header in a raw list, or undefined. */
export function headerIn(raw: readonly string[], name: string): string | undefined {
  for (let i = 0; i < raw.length; i += 2) if ((raw[i] as string).toLowerCase() === name) return raw[i + 1];
  return undefined;
}

/** HTTP/2 says `:authority` where HTTP/1.1 says `Host`. */
function withHost(headers: string[], raw: readonly string[]): string[] {
  const authority = headerIn(raw, ':authority');
  if (authority !== undefined && headerIn(headers, 'host') === undefined) headers.push('host', authority);
  return headers;
}

function listedInConnection(raw: readonly string[]): Set<string> | undefined {
  const value = headerIn(raw, 'connection');
  if (value === undefined || /^(?:keep-alive|close)$/i.test(value)) return undefined;
  return new Set(value.split(',').map((name) => name.trim().toLowerCase()));
}
