// Tensors that callers send, and how each protocol writes them.
import type { InferContents, InferParameter, InferRequest } from '../../support/infer-messages.ts';
import type { HttpCase } from '../support/http-call.ts';

export type Datatype = 'BOOL' | 'INT8' | 'INT32' | 'INT64' | 'UINT64' | 'FP16' | 'FP32' | 'FP64' | 'BYTES';

export interface Tensor {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: readonly (number | bigint | boolean | string)[];
  /** Strings only, such as `content_type`. */
  readonly parameters?: Readonly<Record<string, string>>;
}

/** An inference in the words of V2. */
export interface Inference {
  readonly model: string;
  readonly tensors: readonly Tensor[];
  readonly id?: string;
  readonly version?: string;
  readonly parameters?: Readonly<Record<string, string | boolean>>;
  /** Names of outputs, with whether they are asked for in raw bytes. */
  readonly outputs?: readonly { readonly name: string; readonly raw?: boolean }[];
}

const json = { 'content-type': 'application/json' };

function pathOf({ model, version }: Inference): string {
  return `/v2/models/${model}${version === undefined ? '' : `/versions/${version}`}/infer`;
}

/** Numbers as clients write them: 64 bits keep every digit. */
function textOf(value: Tensor['data'][number]): string {
  return typeof value === 'bigint' ? value.toString() : JSON.stringify(value);
}

/** V1 rows. */
export function v1Case(name: string, model: string, rows: string, field = 'instances'): HttpCase {
  return { name, path: `/v1/models/${model}:predict`, headers: json, body: Buffer.from(`{"${field}":${rows}}`) };
}

/** V2 with all tensors in JSON. */
export function jsonCase(name: string, inference: Inference): HttpCase {
  return { name, path: pathOf(inference), headers: json, body: Buffer.from(jsonOf(inference, () => undefined)) };
}

/** V2 with the tensors of these indexes, or all, in raw bytes. */
export function binaryCase(name: string, inference: Inference, raw: (index: number) => boolean = () => true): HttpCase {
  const raws = inference.tensors.map((tensor, i) => (raw(i) ? rawOf(tensor) : undefined));
  const head = Buffer.from(jsonOf(inference, (i) => raws[i]?.length));
  return {
    name,
    path: pathOf(inference),
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(head.length),
    },
    body: Buffer.concat([head, ...raws.filter((each) => each !== undefined)]),
  };
}

function jsonOf(inference: Inference, rawBytes: (index: number) => number | undefined): string {
  const inputs = inference.tensors.map(({ name, datatype, shape, data, parameters = {} }, i) => {
    const bytes = rawBytes(i);
    const own = bytes === undefined ? parameters : { ...parameters, binary_data_size: bytes };
    const members = [`"name":${JSON.stringify(name)}`, `"shape":[${shape.join(',')}]`, `"datatype":"${datatype}"`];
    if (Object.keys(own).length > 0) members.push(`"parameters":${JSON.stringify(own)}`);
    if (bytes === undefined) members.push(`"data":[${data.map(textOf).join(',')}]`);
    return `{${members.join(',')}}`;
  });
  const members = [`"inputs":[${inputs.join(',')}]`];
  if (inference.id !== undefined) members.unshift(`"id":${JSON.stringify(inference.id)}`);
  if (inference.parameters) members.push(`"parameters":${JSON.stringify(inference.parameters)}`);
  if (inference.outputs) {
    const outputs = inference.outputs.map(({ name, raw }) => ({
      name,
      ...(raw === undefined ? {} : { parameters: { binary_data: raw } }),
    }));
    members.push(`"outputs":${JSON.stringify(outputs)}`);
  }
  return `{${members.join(',')}}`;
}

/** Little endian, row by row; strings with their lengths before them. */
export function rawOf({ datatype, data }: Tensor): Buffer {
  if (datatype === 'BYTES') {
    return Buffer.concat(
      data.flatMap((value) => {
        const bytes = Buffer.from(String(value));
        const length = Buffer.alloc(4);
        length.writeUInt32LE(bytes.length);
        return [length, bytes];
      }),
    );
  }
  const write: Record<Exclude<Datatype, 'BYTES'>, [number, (at: Buffer, value: never) => void]> = {
    BOOL: [1, (at, value: boolean) => void at.writeUInt8(value ? 1 : 0)],
    INT8: [1, (at, value: number) => void at.writeInt8(value)],
    INT32: [4, (at, value: number) => void at.writeInt32LE(value)],
    INT64: [8, (at, value: bigint) => void at.writeBigInt64LE(BigInt(value))],
    UINT64: [8, (at, value: bigint) => void at.writeBigUInt64LE(BigInt(value))],
    FP16: [2, (at, value: number) => void at.writeUInt16LE(value)],
    FP32: [4, (at, value: number) => void at.writeFloatLE(value)],
    FP64: [8, (at, value: number) => void at.writeDoubleLE(value)],
  };
  const [width, put] = write[datatype];
  const all = Buffer.alloc(width * data.length);
  for (const [i, value] of data.entries()) put(all.subarray(i * width), value as never);
  return all;
}

/** V2 over gRPC, raw or typed. */
export function grpcRequest(inference: Inference, raw: boolean): InferRequest {
  const { model, version, id, parameters = {}, outputs, tensors } = inference;
  return {
    model_name: model,
    ...(version === undefined ? {} : { model_version: version }),
    ...(id === undefined ? {} : { id }),
    ...(Object.keys(parameters).length > 0 ? { parameters: parametersOf(parameters) } : {}),
    inputs: tensors.map((tensor) => ({
      name: tensor.name,
      datatype: tensor.datatype,
      shape: [...tensor.shape],
      ...(tensor.parameters ? { parameters: parametersOf(tensor.parameters) } : {}),
      ...(raw ? {} : { contents: contentsOf(tensor) }),
    })),
    ...(outputs ? { outputs: outputs.map(({ name }) => ({ name })) } : {}),
    ...(raw ? { raw_input_contents: tensors.map(rawOf) } : {}),
  };
}

function parametersOf(values: Readonly<Record<string, string | boolean>>): Record<string, InferParameter> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      typeof value === 'boolean' ? { bool_param: value } : { string_param: value },
    ]),
  );
}

/** FP16 has no field of its own: it goes as raw bytes only. */
const contentFields: Readonly<Record<Exclude<Datatype, 'FP16'>, string>> = {
  BOOL: 'bool_contents',
  INT8: 'int_contents',
  INT32: 'int_contents',
  INT64: 'int64_contents',
  UINT64: 'uint64_contents',
  FP32: 'fp32_contents',
  FP64: 'fp64_contents',
  BYTES: 'bytes_contents',
};

function contentsOf({ datatype, data }: Tensor): InferContents {
  const field = contentFields[datatype as Exclude<Datatype, 'FP16'>];
  // 64-bit numbers as texts: protobufjs reads every digit of those.
  const values = data.map((value) => {
    if (datatype === 'BYTES') return Buffer.from(String(value));
    return typeof value === 'bigint' ? value.toString() : value;
  });
  return { [field]: values };
}
