import { Varints } from '../src/protocol/varints.ts';

const outputs = 10;

/** Requests with one raw tensor, and the model's reply to all of them. */
export interface RawBatch {
  readonly bodies: readonly { readonly body: Buffer; readonly jsonBytes?: number }[];
  readonly reply: { readonly body: Buffer; readonly jsonBytes?: number };
}

/** `size` bodies of V2 JSON with a tensor of so many bytes behind each. */
export function binaryBatch(bytes: number, size: number): RawBatch {
  const body = (i: number) => {
    const json = `{"id":"caller-${10 + i}","inputs":[{"name":"x","shape":[1,${bytes / 4}],"datatype":"FP32","parameters":{"binary_data_size":${bytes}}}],"parameters":{"binary_data_output":true}}`;
    return { body: Buffer.concat([Buffer.from(json), Buffer.alloc(bytes, i)]), jsonBytes: json.length };
  };
  const json = `{"model_name":"m","id":"caller-10","outputs":[{"name":"y","shape":[${size},${outputs}],"datatype":"FP32","parameters":{"binary_data_size":${4 * size * outputs}}}]}`;
  return {
    bodies: Array.from({ length: size }, (_, i) => body(i)),
    reply: { body: Buffer.concat([Buffer.from(json), Buffer.alloc(4 * size * outputs)]), jsonBytes: json.length },
  };
}

/** The same as messages of gRPC, which have the tensor in their last field. */
export function messageBatch(bytes: number, size: number): RawBatch {
  const tensor = (name: string, shape: readonly number[]) =>
    field(5, Buffer.concat([text(1, name), text(2, 'FP32'), field(3, Buffer.concat(shape.map(Varints.bytes)))]));
  const body = (i: number) => ({
    body: Buffer.concat([
      ...[text(1, 'm'), text(3, `caller-${10 + i}`), tensor('x', [1, bytes / 4])],
      field(7, Buffer.alloc(bytes, i)),
    ]),
  });
  const raw = Buffer.alloc(4 * size * outputs);
  const reply = Buffer.concat([...[text(1, 'm'), text(3, 'caller-10'), tensor('y', [size, outputs])], field(6, raw)]);
  return { bodies: Array.from({ length: size }, (_, i) => body(i)), reply: { body: reply } };
}

/** A length-delimited field of a message. */
function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.of((number << 3) | 2), Varints.bytes(content.length), content]);
}

function text(number: number, content: string): Buffer {
  return field(number, Buffer.from(content));
}
