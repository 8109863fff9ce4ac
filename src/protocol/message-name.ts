import { readVarint, Varints } from './varints.ts';

/** `model_name` of ModelInferRequest and ModelInferResponse: field 1, a string. Writers put it first. */
const nameTag = 0x0a;

/**
 * A message of gRPC inference with another name in its `model_name`; undefined where it does not begin with `model_name`, as
 * every known writer lets it begin, or says another name than `from`.
 */
export function renamedMessage(message: Buffer, from: string, to: string): Buffer | undefined {
  const name = Buffer.from(from);
  // Compared as bytes: the message has not been validated yet, and a length in it need not end.
  const field = Buffer.concat([Buffer.of(nameTag), Varints.bytes(name.length), name]);
  if (!message.subarray(0, field.length).equals(field)) return undefined;
  const other = Buffer.from(to);
  return Buffer.concat([Buffer.of(nameTag), Varints.bytes(other.length), other, message.subarray(field.length)]);
}

/** The `model_name` that a sound message begins with, at most 256 bytes of it; empty where it begins otherwise. */
export function nameIn(message: Buffer): string {
  if (message[0] !== nameTag) return '';
  let begin = 1;
  while ((message[begin] as number) >= 0x80) begin++;
  begin++;
  return message.toString('utf8', begin, begin + Math.min(readVarint(message, 1), 256));
}
