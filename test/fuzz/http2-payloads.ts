// Bytes for a connection of HTTP/2: calls of gRPC in frames, and what somebody makes of them who is careless or means harm.
import { encodeRequest } from '../support/infer-messages.ts';
import { mutateMessage } from '../support/mutations.ts';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const types = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  more: 9,
};
const [endStream, endHeaders] = [1, 4];

interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: Buffer;
  /** What it says that its length is. */
  length: number;
}

const message = encodeRequest({
  model_name: 'm',
  id: 'a',
  inputs: [{ name: 'x', datatype: 'INT32', shape: [1, 2] }],
  raw_input_contents: [Buffer.alloc(8, 1)],
});

/** Bytes for one connection, after some changes. */
export function http2Payload(below: (n: number) => number): Buffer {
  const frames: Frame[] = [frame(types.settings, 0, 0, Buffer.alloc(0)), frame(types.settings, 1, 0, Buffer.alloc(0))];
  for (let call = 0, calls = 1 + below(4); call < calls; call++) frames.push(...callOf(1 + 2 * call, below));
  let all = frames;
  for (let changes = below(4); changes > 0; changes--) all = change(all, below);
  const bytes = Buffer.concat([below(40) === 0 ? preface.subarray(0, below(24)) : preface, ...all.map(bytesOf)]);
  if (below(10) > 0) return bytes;
  const at = below(bytes.length);
  const flipped = Buffer.from(bytes);
  flipped[at] = below(256);
  return below(2) === 0 ? flipped : bytes.subarray(0, at);
}

function callOf(stream: number, below: (n: number) => number): Frame[] {
  const path = below(8) === 0 ? '/other.Service/Method' : '/inference.GRPCInferenceService/ModelInfer';
  const fields: [string, string][] = [
    ...([
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', 'a'],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
    ] as [string, string][]),
  ];
  if (below(5) === 0) fields.splice(below(fields.length), 1);
  if (below(4) === 0) fields.splice(below(fields.length), 0, oddFields[below(oddFields.length)] as [string, string]);
  const block = Buffer.concat(fields.map(([name, value]) => field(name, value)));
  let own: Buffer = message;
  for (let changes = below(3); changes > 0; changes--) own = mutateMessage(own, below);
  const head = Buffer.from([below(12) === 0 ? 1 : 0, 0, 0, 0, 0]);
  head.writeUInt32BE(Math.max(0, own.length + (below(10) === 0 ? below(9) - 4 : 0)), 1);
  const body = Buffer.concat([head, own]);
  const half = below(body.length);
  return below(3) === 0
    ? [
        frame(types.headers, endHeaders, stream, block),
        frame(types.data, 0, stream, body.subarray(0, half)),
        frame(types.data, endStream, stream, body.subarray(half)),
      ]
    : [frame(types.headers, endHeaders, stream, block), frame(types.data, endStream, stream, body)];
}

const oddFields: readonly [string, string][] = [
  ['grpc-timeout', '1S'],
  ['grpc-timeout', 'soon'],
  ['grpc-encoding', 'gzip'],
  ['content-length', '5'],
  ['content-length', '999999'],
  ['transfer-encoding', 'chunked'],
  ['connection', 'close'],
  ['Upper', 'case'],
  ['bad name', 'x'],
  ['x', 'line\r\nx-injected: 1'],
  ['x', '\u0000'],
  [':path', '/twice'],
  [':unknown', 'x'],
  [':method', 'CONNECT'],
  ['host', 'b'],
  ['cookie', 'x'.repeat(120)],
  ['x-request-id', 'r'.repeat(120)],
];

function change(frames: readonly Frame[], below: (n: number) => number): Frame[] {
  const at = below(frames.length);
  const chosen = frames[at];
  if (!chosen) return [...frames];
  const replaced = (more: Partial<Frame>) => frames.map((each, i) => (i === at ? { ...each, ...more } : each));
  const inserted = (...more: Frame[]) => [...frames.slice(0, at), ...more, ...frames.slice(at)];
  const stream = [0, 1, 2, 3, 99, 2 ** 31 - 1][below(6)] as number;
  switch (below(10)) {
    case 0:
      return replaced({ type: below(12) });
    case 1:
      return replaced({ flags: below(256) });
    case 2:
      return replaced({ stream });
    case 3:
      return replaced({ length: Math.max(0, chosen.length + below(30) - 15) });
    case 4: {
      const payload = Buffer.from(chosen.payload);
      if (payload.length > 0) payload[below(payload.length)] = below(256);
      return replaced({ payload });
    }
    case 5:
      return frames.filter((_, i) => i !== at);
    case 6:
      return inserted(chosen);
    case 7: {
      const odd = oddFrames(stream, below);
      return inserted(odd);
    }
    case 8:
      // A flood of one frame.
      return inserted(...Array<Frame>(50 + below(200)).fill(oddFrames(stream, below)));
    default:
      // A header block in pieces, which never end now and then.
      return chosen.type === types.headers
        ? [
            ...frames.slice(0, at),
            { ...chosen, flags: 0 },
            ...Array.from({ length: below(30) }, () =>
              frame(types.more, 0, chosen.stream, field('x', 'y'.repeat(100))),
            ),
            frame(types.more, below(2) * endHeaders, chosen.stream, Buffer.alloc(0)),
            ...frames.slice(at + 1),
          ]
        : frames.slice(0, at);
  }
}

function oddFrames(stream: number, below: (n: number) => number): Frame {
  const number = Buffer.alloc(4);
  number.writeUInt32BE([0, 1, 8, 2 ** 31 - 1, 2 ** 32 - 1][below(5)] as number);
  const setting = Buffer.alloc(6);
  setting.writeUInt16BE(1 + below(7));
  number.copy(setting, 2);
  switch (below(8)) {
    case 0:
      return frame(types.priority, 0, stream, Buffer.concat([number, Buffer.of(below(256))]));
    case 1:
      return frame(types.reset, 0, stream, number);
    case 2:
      return frame(types.settings, below(2), 0, setting);
    case 3:
      return frame(types.push, endHeaders, stream, Buffer.concat([number, field(':path', '/')]));
    case 4:
      return frame(types.ping, below(2), 0, Buffer.alloc(8));
    case 5:
      return frame(types.goaway, 0, 0, Buffer.concat([number, number]));
    case 6:
      return frame(types.window, 0, stream, number);
    default:
      return frame(types.data, 8, stream, Buffer.of(below(256)));
  }
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Frame {
  return { type, flags, stream, payload, length: payload.length };
}

function bytesOf({ type, flags, stream, payload, length }: Frame): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A field as HPACK has it, literal and not indexed, its texts as they are. */
function field(name: string, value: string): Buffer {
  const text = (of: string) =>
    Buffer.concat([Buffer.of(Math.min(of.length, 126)), Buffer.from(of.slice(0, 126), 'latin1')]);
  return Buffer.concat([Buffer.of(0), text(name), text(value)]);
}
