import type { Asked, Driver, Seen, Written } from './asked.ts';

const double = (rows: Seen['rows']) => rows.map((row) => row.map((value) => 2 * value));

/** V1: rows are all that the protocol names. */
export const v1Driver: Driver = {
  name: 'V1',
  protocol: 'v1',
  write(asked) {
    // The shape of a row and its layout are its own; a datatype or a tensor's parameters there are none.
    if (asked.datatype !== 'INT32' || Object.keys(asked.tensorParameters).length > 0) return undefined;
    if (asked.outputs.length > 0) return undefined;
    const { id, rows, parameters, unknownField } = asked;
    const body = {
      ...(id === undefined ? {} : { id }),
      [asked.tensor === 'x' ? 'instances' : 'inputs']: asked.otherLayout ? rows.map((row) => ({ row })) : rows,
      ...(Object.keys(parameters).length > 0 ? { parameters } : {}),
      ...(unknownField === undefined ? {} : { unknownField }),
    };
    return written(asked, `/v1/models/${asked.model}${versionOf(asked)}:predict`, Buffer.from(JSON.stringify(body)));
  },
  read: (body) => seenV1(JSON.parse(body.toString())),
  answer: ({ rows }) => ({ body: Buffer.from(JSON.stringify({ predictions: double(rows), model: 'm' })) }),
  readReply: (body) => seenV1(JSON.parse(body.toString())),
  broken: (written) => ({ ...written, body: Buffer.from(written.body.toString().replace('[1,2]', '[1,02]')) }),
};

function seenV1({ instances, predictions, ...rest }: Record<string, unknown>): Seen {
  return { id: undefined, rows: (instances ?? predictions) as number[][], rest };
}

interface TensorText {
  name: string;
  datatype: string;
  shape: number[];
  parameters?: Record<string, unknown>;
  data?: unknown[];
}

/** The members of a V2 request as objects; its rows are put in by whoever asks. */
export function v2Members(asked: Asked, tensor: Omit<TensorText, 'name' | 'datatype' | 'shape'>): object {
  const { id, rows, parameters, unknownField, outputs, tensorParameters } = asked;
  const ofTensor = { ...tensorParameters, ...tensor.parameters };
  return {
    ...(id === undefined ? {} : { id }),
    ...(Object.keys(parameters).length > 0 ? { parameters } : {}),
    inputs: [
      {
        name: asked.tensor,
        datatype: asked.datatype,
        shape: [rows.length, (rows[0] as number[]).length],
        ...(Object.keys(ofTensor).length > 0 ? { parameters: ofTensor } : {}),
        ...(tensor.data ? { data: tensor.data } : {}),
      },
    ],
    ...(outputs.length > 0 ? { outputs: outputs.map((name) => ({ name })) } : {}),
    ...(unknownField === undefined ? {} : { unknownField }),
  };
}

export function v2Url(asked: Asked): string {
  return `/v2/models/${asked.model}${versionOf(asked)}/infer`;
}

/** V2 with data as JSON, flat; nested in its other layout. */
export const v2Driver: Driver = {
  name: 'V2 JSON',
  protocol: 'v2',
  write(asked) {
    const data = asked.otherLayout ? [...asked.rows] : asked.rows.flat();
    return written(asked, v2Url(asked), Buffer.from(JSON.stringify(v2Members(asked, { data }))));
  },
  read: (body) => seenV2(JSON.parse(body.toString())),
  answer: ({ id, rows }) => {
    const data = double(rows).flat();
    const outputs = [{ name: 'y', datatype: 'INT32', shape: [rows.length, data.length / rows.length], data }];
    return { body: Buffer.from(JSON.stringify({ model_name: 'm', id: id ?? 'made', outputs })) };
  },
  readReply: (body) => seenV2(JSON.parse(body.toString())),
  broken: (written) => ({ ...written, body: Buffer.from(written.body.toString().replace('[1,2]', '[1,3]')) }),
};

function seenV2({ id, inputs, outputs, ...others }: Record<string, unknown>): Seen {
  const [tensor] = (inputs ?? outputs) as [TensorText];
  const { data, shape, ...nature } = tensor;
  const rest = { ...others, nature, row: shape.slice(1), requested: inputs ? outputs : undefined };
  return { id: id as string | undefined, rows: rowsOf((data as unknown[]).flat() as number[], shape), rest };
}

/** The rows of flat data. */
export function rowsOf(values: readonly number[], shape: readonly number[]): number[][] {
  const width = values.length / (shape[0] as number);
  return Array.from({ length: shape[0] as number }, (_, i) => values.slice(i * width, (i + 1) * width));
}

export function written(asked: Asked, path: string, body: Buffer, more: Partial<Written> = {}): Written {
  return { url: path + asked.query, headers: asked.headers, body, ...more };
}

function versionOf({ version }: Asked): string {
  return version === undefined ? '' : `/versions/${version}`;
}
