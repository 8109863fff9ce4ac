import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type InferParameter,
  type InferRequest,
} from '../support/infer-messages.ts';
import type { Asked, Driver, Seen } from './asked.ts';
import { int32, int64 } from './binary-driver.ts';
import { rowsOf, written } from './json-driver.ts';

/** V2 over gRPC with raw contents; with typed contents in its other layout. The model's name is in the message. */
export const grpcDriver: Driver = {
  name: 'V2 gRPC',
  protocol: 'grpc',
  write(asked) {
    if (asked.query !== '') return undefined;
    const message = encodeRequest(requestOf(asked));
    const body =
      asked.unknownField === undefined
        ? message
        : Buffer.concat([message, Buffer.from([0xfa, 0x01, 0x04]), Buffer.from(asked.unknownField)]);
    return written(asked, '/inference.GRPCInferenceService/ModelInfer', body);
  },
  read: (body) => {
    const { id, inputs, raw_input_contents: raws, ...rest } = decodeRequest(body);
    return seen(id, inputs, raws, rest);
  },
  answer: ({ id, rows }, model = 'm') => ({
    body: encodeResponse({
      model_name: model,
      id: id ?? 'made',
      outputs: [{ name: 'y', datatype: 'INT32', shape: [rows.length, (rows[0] as number[]).length] }],
      raw_output_contents: [int32(rows.flat().map((value) => 2 * value))],
    }),
  }),
  readReply: (body) => {
    const { id, outputs, raw_output_contents: raws, ...rest } = decodeResponse(body);
    return seen(id, outputs, raws, rest);
  },
  broken: (written) => ({ ...written, body: written.body.subarray(0, -1) }),
};

function requestOf(asked: Asked): InferRequest {
  const { rows, datatype } = asked;
  const shape = [rows.length, (rows[0] as number[]).length];
  const contents = asked.otherLayout ? { contents: { int_contents: rows.flat() } } : {};
  const raw = datatype === 'INT32' ? int32(rows.flat()) : int64(rows.flat());
  return {
    model_name: asked.model,
    ...(asked.version === undefined ? {} : { model_version: asked.version }),
    ...(asked.id === undefined ? {} : { id: asked.id }),
    parameters: parametersOf(asked.parameters),
    inputs: [{ name: asked.tensor, datatype, shape, parameters: parametersOf(asked.tensorParameters), ...contents }],
    outputs: asked.outputs.map((name) => ({ name })),
    ...(asked.otherLayout ? {} : { raw_input_contents: [raw] }),
  };
}

function parametersOf(values: Readonly<Record<string, number | string>>): Record<string, InferParameter> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      key,
      typeof value === 'number' ? { int64_param: value } : { string_param: value },
    ]),
  );
}

function seen(
  id: string | undefined,
  tensors: InferRequest['inputs'],
  raws: readonly Buffer[] | undefined,
  others: object,
): Seen {
  const [{ shape, ...nature }] = tensors as [InferRequest['inputs'][number]];
  const raw = raws?.[0] as Buffer;
  const values = Array.from({ length: raw.length / 4 }, (_, i) => raw.readInt32LE(4 * i));
  const dimensions = shape.map(Number);
  return { id, rows: rowsOf(values, dimensions), rest: { ...others, nature, row: dimensions.slice(1) } };
}
