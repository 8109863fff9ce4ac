import { readVarint, Varints } from './varints.ts';

/** `model_name` of ModelInferRequest and ModelInferResponse: field 1, a string. Writers put it first. */
const nameTag = 0x0a;

/**
 * A message of gRPC inference with another name in its `model_name`; undefined where it does not begin with `model_name`, as
 * every known writer lets it begin, or says another name than `from`.
 */
export function renamedMessage(message: Buffer, from: string, to: string): Buffer | undefined {
  const name = Buffer.from(from);
  const length = Varints.bytes(name.length);
  const end = 1 + length.length + name.length;
  if (message[0] !== nameTag || message.length < end || readVarint(message, 1) !== name.length) return undefined;
  if (!message.subarray(1 + length.length, end).equals(name)) return undefined;
  const other = Buffer.from(to);
  return Buffer.concat([Buffer.of(nameTag), Varints.bytes(other.length), other, message.subarray(end)]);
}
