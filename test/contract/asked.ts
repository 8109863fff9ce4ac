import type { ProtocolName } from '../../src/protocol/protocol.ts';

/** One inference request, whatever the protocol: rows of whole numbers and everything that may stand beside them. */
export interface Asked {
  readonly rows: readonly (readonly number[])[];
  readonly model: string;
  readonly version: string | undefined;
  readonly query: string;
  readonly id: string | undefined;
  readonly tensor: string;
  readonly datatype: 'INT32' | 'INT64';
  /** The other way in which this protocol can write the same rows. */
  readonly otherLayout: boolean;
  readonly parameters: Readonly<Record<string, number | string>>;
  readonly tensorParameters: Readonly<Record<string, string>>;
  readonly outputs: readonly string[];
  readonly unknownField: string | undefined;
  readonly headers: readonly string[];
}

/** A request as it travels. */
export interface Written {
  readonly url: string;
  /** A flat list. */
  readonly headers: readonly string[];
  readonly body: Buffer;
  readonly jsonBytes?: number | undefined;
}

/** What stands in a request or a reply. */
export interface Seen {
  readonly id: string | undefined;
  readonly rows: readonly (readonly number[])[];
  /** Everything else, to be compared as a whole. */
  readonly rest: unknown;
}

/** How the contract writes and reads one protocol, without the code that it tests. */
export interface Driver {
  readonly name: string;
  readonly protocol: ProtocolName;
  /** Undefined where the protocol has no word for what is asked. */
  write(asked: Asked): Written | undefined;
  read(body: Buffer, jsonBytes: number | undefined): Seen;
  /** What a model of this name (`m`) answers that doubles every number and says the id again. */
  answer(seen: Seen, model?: string): { readonly body: Buffer; readonly jsonBytes?: number };
  readReply(body: Buffer, jsonBytes: number | undefined): Seen;
  /** The request with something in it that cannot be true. */
  broken(written: Written): Written;
}

export const plain: Asked = {
  rows: [[1, 2]],
  model: 'm',
  version: undefined,
  query: '',
  id: 'a',
  tensor: 'x',
  datatype: 'INT32',
  otherLayout: false,
  parameters: {},
  tensorParameters: {},
  outputs: [],
  unknownField: undefined,
  headers: ['host', 'model'],
};

/** One row of the table of lane rules: in what a second request differs from the first. */
export interface Rule {
  readonly what: string;
  readonly first?: Partial<Asked>;
  readonly second: Partial<Asked>;
}

const json = ['host', 'model', 'content-type', 'application/json'];
const withHeader = (...more: string[]): Partial<Asked> => ({ headers: [...json, ...more] });

/** The header that the contract lets callers share. */
export const sharedHeader = 'x-shared';

export const rules: readonly Rule[] = [
  { what: 'values of the rows', second: { rows: [[3, 4]] } },
  {
    what: 'number of rows',
    second: {
      rows: [
        [3, 4],
        [5, 6],
        [7, 8],
      ],
    },
  },
  { what: '`id`', second: { id: 'bcd' } },
  { what: 'an `id` or none', second: { id: undefined } },
  { what: 'parameters `timeout` and `priority`', first: limits(5, 1), second: limits(90_000, 2) },
  { what: 'trace context, request id, user agent, forwarding headers', first: traced('1'), second: traced('2') },
  {
    what: '`paceline-*` headers and `grpc-timeout`',
    first: withHeader('paceline-timeout-ms', '100', 'grpc-timeout', '1S'),
    second: withHeader('paceline-timeout-ms', '50', 'paceline-priority', '3', 'grpc-timeout', '200m'),
  },
  {
    what: 'headers in `--share-across-headers`',
    first: withHeader(sharedHeader, 'one'),
    second: withHeader(sharedHeader, 'two'),
  },
  {
    what: 'authorization, cookie, any other header',
    first: withHeader('authorization', 'Bearer one'),
    second: withHeader('authorization', 'Bearer two'),
  },
  { what: 'model', second: { model: 'n' } },
  { what: 'model version', first: { version: '1' }, second: { version: '2' } },
  { what: 'query of the path', second: { query: '?x=1' } },
  { what: 'name of a tensor', second: { tensor: 'y' } },
  { what: 'datatype', second: { datatype: 'INT64' } },
  { what: 'shape of a row', second: { rows: [[1, 2, 3]] } },
  { what: 'layout: flat or nested, text or raw bytes', second: { otherLayout: true } },
  { what: 'parameters of a tensor', second: { tensorParameters: { content_type: 'np' } } },
  { what: 'other request parameters', first: { parameters: { mode: 'a' } }, second: { parameters: { mode: 'b' } } },
  { what: 'requested outputs', first: { outputs: ['y'] }, second: { outputs: ['y', 'z'] } },
  { what: 'fields that the protocol does not know', second: { unknownField: 'deep' } },
  { what: 'parameters `sequence_*`', second: { parameters: { sequence_id: 7 } } },
];

function limits(timeout: number, priority: number): Partial<Asked> {
  return { parameters: { timeout, priority } };
}

function traced(id: string): Partial<Asked> {
  return withHeader(
    ...['traceparent', `00-${id}`, 'x-request-id', id, 'user-agent', `agent/${id}`],
    ...['x-forwarded-for', `10.0.0.${id}`],
  );
}
