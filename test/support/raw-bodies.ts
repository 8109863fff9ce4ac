// Random V2 bodies with raw tensors: a client's way of writing, and what it writes with it.
import fc from 'fast-check';
import { numberText, type Style, styles, writeList, writeObject } from './body-texts.ts';

/** One tensor's nature. */
export interface RawForm {
  name: string;
  datatype: string;
  /** Dimensions behind the first one. */
  rest: number[];
  /** Raw, or as JSON. */
  raw: boolean;
}

/** A tensor's rows: one piece of bytes, or one list of JSON texts, for each row. */
export type RawRows = (Buffer | string[])[];

export const rawWidths: Record<string, number> = {
  ...{ BOOL: 1, UINT8: 1, INT8: 1, UINT16: 2, INT16: 2, FP16: 2, BF16: 2, UINT32: 4, INT32: 4, FP32: 4 },
  ...{ UINT64: 8, INT64: 8, FP64: 8, BYTES: 0 },
};

export const rawForms = fc.record<RawForm>({
  name: fc.constantFrom('x', 'input-0', 'é'),
  datatype: fc.constantFrom(...Object.keys(rawWidths), 'BYTES', 'BYTES'),
  rest: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 2 }),
  raw: fc.boolean(),
});

const jsonString = fc
  .array(fc.constantFrom('a', ',', ']', '{', '"', '\\', 'é', '😀', '\n', '0123456789abcdef'), { maxLength: 5 })
  .map((parts) => JSON.stringify(parts.join('')));

/** One row of a tensor. */
export function rowOf(form: RawForm): fc.Arbitrary<Buffer | string[]> {
  const count = form.rest.reduce((product, each) => product * each, 1);
  if (!form.raw) {
    const element = form.datatype === 'BYTES' ? jsonString : numberText;
    return fc.array(element, { minLength: count, maxLength: count });
  }
  const width = rawWidths[form.datatype] as number;
  if (width > 0) return bytes(count * width, count * width);
  return fc.array(bytes(0, 9), { minLength: count, maxLength: count }).map((all) => Buffer.concat(all.map(stringOf)));
}

function bytes(minLength: number, maxLength: number): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ minLength, maxLength }).map((values) => Buffer.from(values));
}

/** An element of a BYTES tensor: its length, four bytes, little endian, and its bytes. */
export function stringOf(element: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(element.length);
  return Buffer.concat([head, element]);
}

/** How one client writes its bodies: all of them alike. */
export interface RawWriter {
  readonly forms: readonly RawForm[];
  readonly style: Style;
  /** Whether the request asks for raw outputs, and of which. */
  readonly output: 'request' | 'output' | 'none';
  readonly withId: boolean;
}

export const rawWriters = fc.record<RawWriter>({
  forms: fc.array(rawForms, { minLength: 1, maxLength: 3 }),
  style: styles,
  output: fc.constantFrom('request', 'output', 'none'),
  withId: fc.boolean(),
});

export const ids = jsonString;

/** A body of these rows of each tensor. `tensors` is `inputs`, or `outputs` of a reply. */
export function writeRaw(
  writer: RawWriter,
  tensors: 'inputs' | 'outputs',
  rows: readonly RawRows[],
  id: string,
): { body: Buffer; jsonBytes: number } {
  const { forms, style, output } = writer;
  const raws: Buffer[] = [];
  const texts = forms.map(({ name, datatype, rest, raw }, i) => {
    const own = rows[i] as RawRows;
    const members: [string, string][] = [
      ['name', JSON.stringify(name)],
      ['shape', writeList([own.length, ...rest].map(String), style)],
      ['datatype', JSON.stringify(datatype)],
    ];
    if (raw) {
      const bytes = Buffer.concat(own as Buffer[]);
      raws.push(bytes);
      members.push(['parameters', writeObject([['binary_data_size', String(bytes.length)]], style)]);
    } else members.push(['data', `[${own.flat().join(',')}]`]);
    return writeObject(members, style);
  });
  const members: [string, string][] = [[tensors, writeList(texts, style)]];
  if (writer.withId) members.push(['id', id]);
  if (tensors === 'outputs') members.push(['model_name', '"m"']);
  else if (output === 'request') members.push(['parameters', '{"binary_data_output":true}']);
  else if (output === 'output') members.push(['outputs', '[{"name":"y","parameters":{"binary_data":true}}]']);
  const json = Buffer.from(writeObject(members, style));
  return { body: Buffer.concat([json, ...raws]), jsonBytes: json.length };
}

/** A client, and the rows of its requests: request, tensor, row. */
export const rawClients = rawWriters.chain((writer) =>
  fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), ids), { minLength: 1, maxLength: 4 }).chain((requests) =>
    fc.record({
      writer: fc.constant(writer),
      ids: fc.constant(requests.map(([, id]) => id)),
      rows: fc.tuple(...requests.map(([items]) => fc.tuple(...writer.forms.map((form) => rawRowsOf(form, items))))),
    }),
  ),
);

export function rawRowsOf(form: RawForm, items: number): fc.Arbitrary<RawRows> {
  return fc.array(rowOf(form), { minLength: items, maxLength: items });
}
