// Frames of HTTP/2 as bytes, for callers that no library would be.
import * as assert from 'uvu/assert';

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
export const type = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
};

/** A frame of HTTP/2 as it stands on the wire. */
export function frame(kind: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = kind;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Headers as literals that nothing remembers: name, value. */
export function fields(...pairs: [string, string][]): Buffer {
  const text = (value: string) => {
    const bytes = Buffer.from(value);
    assert.ok(bytes.length < 127);
    return Buffer.concat([Buffer.of(bytes.length), bytes]);
  };
  return Buffer.concat(pairs.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]));
}

export const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
