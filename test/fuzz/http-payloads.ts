// Bytes for a connection of HTTP/1.1: sound requests, and what somebody makes of them who is careless or means harm.

const v1 = '{"instances":[[1,2],[3,4]]}';
const v2 = '{"id":"a","inputs":[{"name":"x","shape":[1,2],"datatype":"INT32","data":[1,2]}]}';
const binary = '{"inputs":[{"name":"x","shape":[1],"datatype":"INT32","parameters":{"binary_data_size":4}}]}';
const inner = 'GET /smuggled HTTP/1.1\r\nhost: inner\r\n\r\n';

const sound: readonly string[] = [
  post('/v1/models/m:predict', v1),
  post('/v2/models/m/infer', v2),
  post(
    '/v2/models/m/infer',
    `${binary}\u0001\u0002\u0003\u0004`,
    `Inference-Header-Content-Length: ${binary.length}\r\n`,
  ),
  `POST /v1/models/m:predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${chunk(v1.slice(0, 9))}${chunk(v1.slice(9))}0\r\nx-trailer: 1\r\n\r\n`,
  post('/v1/models/m:predict', v1, 'Expect: 100-continue\r\n'),
  post('/anything?x=1', inner),
  `${post('/v1/models/m:predict', v1)}${post('/v2/models/m/infer', v2)}`,
  'GET /v1/models/m HTTP/1.1\r\nhost: a\r\n\r\n',
  'HEAD /v2 HTTP/1.1\r\nhost: a\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n',
  'CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n',
  'GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  'GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n',
  'GET / HTTP/1.0\r\n\r\n',
];

const tokens: readonly string[] = [
  ...[
    '\r\n',
    '\n',
    '\r',
    '\u0000',
    ' ',
    '\t',
    ':',
    '\u007f',
    '\u00ff',
    '%',
    '\r\n\r\n',
    ' HTTP/1.1\r\n',
    'HTTP/1.1 200 OK\r\n\r\n',
  ],
  ...['Transfer-Encoding: chunked\r\n', 'Transfer-Encoding: xchunked\r\n', 'Transfer-Encoding : chunked\r\n'],
  ...[
    'Transfer-Encoding: chunked, identity\r\n',
    'Transfer-Encoding: gzip, chunked\r\n',
    'transfer-encoding:\tchunked\r\n',
  ],
  ...['Content-Length: 0\r\n', 'Content-Length: 5\r\n', 'Content-Length: +5\r\n', 'Content-Length: 5, 5\r\n'],
  ...[
    'Content-Length: -1\r\n',
    'Content-Length: 0x10\r\n',
    'Content-Length: 99999999999999999999\r\n',
    'Content-Length: \r\n',
  ],
  ...[
    'Host: b\r\n',
    'Host: \r\n',
    'host: a b\r\n',
    'x: y\r\n folded\r\n',
    'bad name: x\r\n',
    ': nameless\r\n',
    'no-colon\r\n',
  ],
  ...[
    'Connection: close\r\n',
    'Connection: content-length, accept\r\n',
    'Connection: keep-alive, transfer-encoding\r\n',
  ],
  ...[
    'Upgrade: h2c\r\n',
    'Expect: 100-continue\r\n',
    'Expect: nothing\r\n',
    'TE: trailers\r\n',
    'Trailer: content-length\r\n',
  ],
  ...[
    'paceline-timeout-ms: -1\r\n',
    'paceline-priority: 1e9\r\n',
    'paceline-tenant: \u00e9\r\n',
    'x-request-id: \u0001\r\n',
  ],
  ...[
    'Inference-Header-Content-Length: 99999\r\n',
    'Inference-Header-Content-Length: -1\r\n',
    'content-encoding: gzip\r\n',
  ],
  ...['ffffffffffffffff\r\n', '7fffffff\r\n', '-1\r\n', '0;ext=1\r\n', '0\r\n\r\n', `0\r\n\r\n${inner}`, inner],
  ...[
    `x-long: ${'x'.repeat(70_000)}\r\n`,
    'a: b\r\n'.repeat(3000),
    '/'.repeat(9000),
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  ],
  ...[
    'GET http://b/ HTTP/1.1\r\n',
    'POST //x HTTP/1.1\r\n',
    'M-SEARCH * HTTP/1.1\r\n',
    'get / http/1.1\r\n',
    'GET  / HTTP/1.1\r\n',
  ],
];

/** Bytes for one connection, after some changes. */
export function httpPayload(below: (n: number) => number): Buffer {
  let text = pick(sound, below);
  if (below(6) === 0) text += pick(sound, below);
  for (let changes = below(4); changes > 0; changes--) text = change(text, below);
  return Buffer.from(text, 'latin1');
}

function change(text: string, below: (n: number) => number): string {
  const at = below(text.length + 1);
  const lines = [...text.matchAll(/\r\n/g)].map(({ index }) => index + 2);
  const line = lines[below(Math.max(lines.length, 1))] ?? 0;
  switch (below(8)) {
    case 0:
      return text.slice(0, at) + String.fromCharCode(below(256)) + text.slice(at + 1);
    case 1:
      return text.slice(0, at);
    case 2:
      return text.slice(0, at) + text.slice(at + 1 + below(20));
    case 3:
      return text.slice(0, at + below(40)) + text.slice(at);
    case 4:
      return text.slice(0, at) + pick(tokens, below) + text.slice(at);
    case 5:
      // A number that is a little wrong.
      return text.replace(/(ength: )(\d+)/, (_, name, digits) => name + (Number(digits) + below(5) - 2));
    default:
      // Between two lines of the head, where headers stand.
      return text.slice(0, line) + pick(tokens, below) + text.slice(line);
  }
}

function pick(from: readonly string[], below: (n: number) => number): string {
  return from[below(from.length)] as string;
}

function post(path: string, body: string, more = ''): string {
  return `POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n${more}content-length: ${body.length}\r\n\r\n${body}`;
}

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}
