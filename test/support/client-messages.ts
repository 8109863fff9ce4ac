// What one client of gRPC sends: messages that differ in what messages of one lane may differ in.
import fc from 'fast-check';
import {
  encodeRequest,
  encodeResponse,
  type InferParameter,
  type InferRequest,
  type InferResponse,
  type InferTensor,
} from './infer-messages.ts';
import { type RawForm, type RawRows, rawForms, rowOf } from './raw-bodies.ts';

export type Element = number | boolean | string | Buffer;

/** Fields of InferTensorContents, the datatype that each is for, and elements of it. */
const typed: Record<string, [string, fc.Arbitrary<Element>]> = {
  bool_contents: ['BOOL', fc.boolean()],
  int_contents: ['INT32', fc.oneof(fc.integer(), fc.constantFrom(0, -1, 127, 128))],
  int64_contents: ['INT64', fc.constantFrom('0', '-1', '9007199254740993', '-9223372036854775808', '63')],
  uint_contents: ['UINT8', fc.nat(300)],
  uint64_contents: ['UINT64', fc.constantFrom('0', '18446744073709551615', '127', '128')],
  fp32_contents: ['FP32', fc.float({ noNaN: true }).map(Math.fround)],
  fp64_contents: ['FP64', fc.double({ noNaN: true })],
  bytes_contents: ['BYTES', fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes))],
};

/** A client: what is the same in all of its requests, and the rows of each. */
export interface MessageClient {
  raw: boolean;
  forms: (RawForm & { field: string })[];
  withId: boolean;
  withLimits: boolean;
  /** Says of each tensor how many raw bytes it has, as KServe's client and server do. */
  withSizes: boolean;
  model: string;
  requests: { items: number; id: string; timeout: number; rows: (RawRows | Element[])[] }[];
}

export const messageClients: fc.Arbitrary<MessageClient> = fc
  .record({
    raw: fc.boolean(),
    forms: fc.array(
      fc
        .tuple(rawForms, fc.constantFrom(...Object.keys(typed)))
        .map(([form, field]) => ({ ...form, raw: true, field })),
      { minLength: 1, maxLength: 3 },
    ),
    withId: fc.boolean(),
    withLimits: fc.boolean(),
    withSizes: fc.boolean(),
    model: fc.constantFrom('m', 'x'.repeat(130), 'm'.repeat(1100)),
    sizes: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
  })
  .chain(({ sizes, ...client }) =>
    fc
      .tuple(
        ...sizes.map((items) =>
          fc.record({
            items: fc.constant(items),
            id: fc.constantFrom('a', 'é😀', 'x'.repeat(200)),
            timeout: fc.constantFrom(1, 300, 5_000_000),
            rows: fc.tuple(...client.forms.map((form) => (client.raw ? rawRows(form, items) : elements(form, items)))),
          }),
        ),
      )
      .map((requests) => ({ ...client, requests })),
  );

function rawRows(form: RawForm, items: number): fc.Arbitrary<RawRows> {
  return fc.array(rowOf(form), { minLength: items, maxLength: items });
}

function elements(form: RawForm & { field: string }, items: number): fc.Arbitrary<Element[]> {
  const count = form.rest.reduce((product, each) => product * each, items);
  return fc.array(typed[form.field]?.[1] as fc.Arbitrary<Element>, { minLength: count, maxLength: count });
}

function tensorsOf(
  client: MessageClient,
  items: number,
  rows: MessageClient['requests'][number]['rows'],
): InferTensor[] {
  return client.forms.map(({ name, datatype, rest, field }, i) => ({
    name,
    datatype: client.raw ? datatype : (typed[field]?.[0] as string),
    shape: [items, ...rest],
    ...(client.raw && client.withSizes ? { parameters: { binary_data_size: sizeOf(rows[i] as Buffer[]) } } : {}),
    ...(client.raw ? {} : { contents: { [field]: rows[i] as Element[] } }),
  }));
}

function sizeOf(rows: readonly Buffer[]): InferParameter {
  return { int64_param: rows.reduce((sum, { length }) => sum + length, 0) };
}

function rawsOf(client: MessageClient, rows: MessageClient['requests'][number]['rows']): Buffer[] {
  return client.raw ? rows.map((own) => Buffer.concat(own as Buffer[])) : [];
}

/** A client's request of these rows, as protobufjs writes it. */
export function requestOf(
  client: MessageClient,
  { items, id, timeout, rows }: MessageClient['requests'][number],
): Buffer {
  const request: InferRequest = {
    model_name: client.model,
    ...(client.withId ? { id } : {}),
    ...(client.withLimits ? { parameters: { timeout: { int64_param: timeout }, mode: { string_param: 'a' } } } : {}),
    inputs: tensorsOf(client, items, rows),
    outputs: [{ name: 'y' }],
    raw_input_contents: rawsOf(client, rows),
  };
  return encodeRequest(request);
}

export function replyOf(client: MessageClient, { items, id, rows }: MessageClient['requests'][number]): Buffer {
  const response: InferResponse = {
    model_name: client.model,
    ...(client.withId ? { id } : {}),
    parameters: { cost: { int64_param: 3 } },
    outputs: tensorsOf(client, items, rows),
    raw_output_contents: rawsOf(client, rows),
  };
  return encodeResponse(response);
}
