/** Before each message of gRPC: whether it is compressed, and its length, big endian. */
export const headBytes = 5;

/** The head of an uncompressed message of so many bytes. */
export function frameHead(length: number): Buffer {
  const head = Buffer.allocUnsafe(headBytes);
  head[0] = 0;
  head.writeUInt32BE(length, 1);
  return head;
}

/**
 * The message that is all of a body; `cut` where it is not all there, and `other` for what is no single message without
 * compression.
 */
export function messageIn(body: Buffer): Buffer | 'cut' | 'other' {
  if (body.length === 0) return 'other';
  if (body[0] !== 0) return 'other';
  if (body.length < headBytes) return 'cut';
  const end = headBytes + body.readUInt32BE(1);
  if (end > body.length) return 'cut';
  return end === body.length ? body.subarray(headBytes) : 'other';
}
