import type { IncomingMessage } from 'node:http';

/**
 * Whether an `Upgrade` is served as if it were not there, as any server may (RFC 9110, 7.8). `h2c` is, as `curl --http2`
 * offers it: callers that want HTTP/2 begin with it, and a tunnel to the model would carry all further requests of the
 * connection past the companion. So is one with a body, which comes before any change of protocol.
 */
export function isIgnoredOffer({ headers }: IncomingMessage): boolean {
  if (tokensOf(headers.upgrade ?? '').some((each) => /^h2c?$/i.test(each))) return true;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** The head of a request without its offer, as bytes. */
export function headWithoutOffer(request: IncomingMessage): Buffer {
  const raw = request.rawHeaders;
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    let value = raw[i + 1] as string;
    if (/^(?:upgrade|http2-settings)$/i.test(name)) continue;
    if (/^connection$/i.test(name)) {
      // What else is listed there, such as `close`, still holds.
      value = tokensOf(value)
        .filter((each) => !/^(?:upgrade|http2-settings)$/i.test(each))
        .join(', ');
      if (value === '') continue;
    }
    lines.push(`${name}: ${value}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

function tokensOf(list: string): string[] {
  return list
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
}
