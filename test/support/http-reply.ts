/** One reply of HTTP/1.1. Names of headers are in lower case. */
export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Bytes that it took. */
  readonly length: number;
}

/** The reply at the beginning of what came back on a connection; undefined where it is not whole. Replies of 1xx are skipped. */
export function readHttpReply(bytes: Buffer): HttpReply | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const match = /^HTTP\/1\.1 (\d{3})/.exec(first);
  if (!match) throw new Error(`no reply of HTTP: ${JSON.stringify(first)}`);
  const status = Number(match[1]);
  const at = end + 4;
  if (status < 200) {
    const next = readHttpReply(bytes.subarray(at));
    return next && { ...next, length: next.length + at };
  }
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  if (headers['transfer-encoding'] === 'chunked') return chunked(bytes, at, status, headers);
  const length = Number(headers['content-length'] ?? 0);
  if (bytes.length < at + length) return undefined;
  return { status, headers, body: bytes.subarray(at, at + length), length: at + length };
}

function chunked(bytes: Buffer, from: number, status: number, headers: Record<string, string>): HttpReply | undefined {
  const chunks: Buffer[] = [];
  for (let at = from; ; ) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    if (Number.isNaN(size)) throw new Error('a chunk has no size');
    const start = line + 2;
    if (bytes.length < start + size + 2) return undefined;
    at = start + size + 2;
    if (size === 0) return { status, headers, body: Buffer.concat(chunks), length: at };
    chunks.push(bytes.subarray(start, start + size));
  }
}
