import type { Asked, Driver, Seen } from './asked.ts';
import { rowsOf, v2Members, v2Url, written } from './json-driver.ts';

/** V2 with raw tensors behind the JSON; as JSON in its other layout. */
export const binaryDriver: Driver = {
  name: 'V2 binary',
  protocol: 'v2',
  write(asked) {
    if (asked.otherLayout) {
      return written(asked, v2Url(asked), Buffer.from(JSON.stringify(v2Members(asked, { data: asked.rows.flat() }))));
    }
    const raw = rawOf(asked);
    const json = Buffer.from(JSON.stringify(v2Members(asked, { parameters: { binary_data_size: raw.length } })));
    const jsonBytes = json.length;
    return written(asked, v2Url(asked), Buffer.concat([json, raw]), { jsonBytes });
  },
  read: seen,
  answer: ({ id, rows }, model = 'm') => {
    const raw = int32(rows.flat().map((value) => 2 * value));
    const shape = [rows.length, (rows[0] as number[]).length];
    const parameters = { binary_data_size: raw.length };
    const outputs = [{ name: 'y', datatype: 'INT32', shape, parameters }];
    const json = Buffer.from(JSON.stringify({ model_name: model, id: id ?? 'made', outputs }));
    return { body: Buffer.concat([json, raw]), jsonBytes: json.length };
  },
  readReply: seen,
  broken: (written) => ({ ...written, body: written.body.subarray(0, -1) }),
};

function rawOf({ rows, datatype }: Asked): Buffer {
  return datatype === 'INT32' ? int32(rows.flat()) : int64(rows.flat());
}

/** Little-endian elements. */
export function int32(values: readonly number[]): Buffer {
  const raw = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => {
    raw.writeInt32LE(value, 4 * i);
  });
  return raw;
}

export function int64(values: readonly number[]): Buffer {
  const raw = Buffer.alloc(8 * values.length);
  values.forEach((value, i) => {
    raw.writeBigInt64LE(BigInt(value), 8 * i);
  });
  return raw;
}

function seen(body: Buffer, jsonBytes: number | undefined): Seen {
  const { id, inputs, outputs, ...others } = JSON.parse(body.toString('utf8', 0, jsonBytes));
  const [{ shape, parameters, ...nature }] = inputs ?? outputs;
  const { binary_data_size: size, ...more } = parameters;
  const raw = body.subarray(jsonBytes);
  if (raw.length !== size) throw new Error(`${raw.length} bytes behind the JSON, ${size} announced`);
  const values = Array.from({ length: raw.length / 4 }, (_, i) => raw.readInt32LE(4 * i));
  const rest = { ...others, nature, more, row: shape.slice(1), requested: inputs ? outputs : undefined };
  return { id, rows: rowsOf(values, shape), rest };
}
