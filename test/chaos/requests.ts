import { type Asked, type Driver, plain, type Written } from '../contract/asked.ts';
import { binaryDriver } from '../contract/binary-driver.ts';
import { grpcDriver } from '../contract/grpc-driver.ts';
import { v1Driver, v2Driver } from '../contract/json-driver.ts';
import type { FaultName, FaultyReply, Transport } from '../support/faults/fault-model.ts';
import type { FaultyCall } from '../support/faults/faulty-upstream.ts';

const drivers: readonly Driver[] = [v1Driver, v2Driver, binaryDriver, grpcDriver];
/** Lanes are used for a part of the run: a reply that cannot be split ends batching in its lane for good. */
const requestsAnEpoch = 2000;
const lanesOfDriver = 2;
/** Every so many requests of JSON and of binary tensors come over h2c. */
const http2Every = 3;
/** Every so many requests rows are wide: tensors of 20 KB where they are raw. */
const wideEvery = 97;
const wide = { raw: 5000, text: 200 };
/** Every so many requests the model refuses the content, whoever is beside it. */
const poisonEvery = 1999;

/** One request of the chaos, all of which follows from its number. */
export interface ChaosRequest {
  readonly id: number;
  readonly driver: Driver;
  readonly transport: Transport;
  /** Whether it comes over h2c: gRPC does, and some of all others. */
  readonly overHttp2: boolean;
  readonly rows: readonly (readonly number[])[];
  /** Its `x-request-id`, which the answer must bear. */
  readonly name: string;
  readonly written: Written;
}

export const laneHeader = 'x-lane';

export function requestOf(id: number): ChaosRequest {
  const driver = driverOf(id);
  const rows = rowsOf(id);
  const width = (rows[0] as readonly number[]).length;
  const model = `m${Math.floor(id / requestsAnEpoch)}-${Math.floor(id / drivers.length) % lanesOfDriver}-${width}`;
  const name = `request-${id}`;
  const json = driver.protocol === 'grpc' ? [] : ['host', 'model'];
  const asked: Asked = {
    ...plain,
    rows,
    model,
    // V1 knows no id: two requests that differ in one never share a batch.
    id: driver.name === 'V1' ? undefined : String(id),
    headers: [...json, 'x-request-id', name, laneHeader, `${driver.name} ${model}`],
  };
  const written = driver.write(asked) as Written;
  const isGrpc = driver.protocol === 'grpc';
  const overHttp2 = isGrpc || Math.floor(id / drivers.length) % http2Every === 0;
  return { id, driver, transport: isGrpc ? 'grpc' : 'http', overHttp2, rows, name, written };
}

/** All headers of a call over HTTP that is no gRPC, a flat list, without the length of its body. */
export function httpHeadersOf({ headers, jsonBytes }: Written): string[] {
  const type = jsonBytes === undefined ? 'application/json' : 'application/octet-stream';
  const extra = jsonBytes === undefined ? [] : ['Inference-Header-Content-Length', String(jsonBytes)];
  return [...headers, 'content-type', type, ...extra];
}

/** The rows of a request, in each of which it says whose they are. */
export function rowsOf(id: number): number[][] {
  const width = id % wideEvery === 13 ? (driverOf(id).protocol === 'grpc' || isBinary(id) ? wide.raw : wide.text) : 2;
  return Array.from({ length: 1 + (id % 3) }, (_, row) => {
    const values = Array<number>(width).fill(row);
    values[0] = id;
    return values;
  });
}

export function isPoison(id: number): boolean {
  return id % poisonEvery === 7;
}

export function driverOf(id: number): Driver {
  return drivers[id % drivers.length] as Driver;
}

function isBinary(id: number): boolean {
  return driverOf(id) === binaryDriver;
}

/** Which protocol a call at the model speaks. */
export function driverOfCall({ url, headers }: FaultyCall): Driver {
  if (url.startsWith('/inference.')) return grpcDriver;
  if (url.startsWith('/v1/')) return v1Driver;
  return headers['inference-header-content-length'] === undefined ? v2Driver : binaryDriver;
}

/** What the model answers to these rows, bytes and headers, with this fault in it. */
export function replyTo(
  driver: Driver,
  seen: { id: string | undefined; rows: readonly (readonly number[])[] },
  fault: FaultName,
): FaultyReply {
  const answer = driver.answer({ id: seen.id, rows: answeredRows(seen.rows, fault), rest: undefined });
  const isGrpc = driver.protocol === 'grpc';
  const headers =
    answer.jsonBytes === undefined
      ? { 'content-type': isGrpc ? 'application/grpc' : 'application/json' }
      : { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(answer.jsonBytes) };
  return { headers, body: isGrpc ? framed(answer.body, fault) : spoilt(answer.body, fault) };
}

function answeredRows(rows: readonly (readonly number[])[], fault: FaultName): readonly (readonly number[])[] {
  if (fault === 'rows-missing' && rows.length > 1) return rows.slice(1);
  // Of one row none can be missing.
  if (fault === 'rows-missing' || fault === 'rows-added') return [...rows, rows[0] as readonly number[]];
  return rows;
}

const garbage = Buffer.from('\u0001<html>');

function spoilt(body: Buffer, fault: FaultName): Buffer {
  if (fault === 'body-empty') return Buffer.alloc(0);
  return fault === 'body-of-garbage' ? Buffer.concat([garbage, body]) : body;
}

/** A message in its frame. */
export function framed(message: Buffer, fault: FaultName = 'ok'): Buffer {
  if (fault === 'body-empty') return Buffer.alloc(0);
  const whole = spoilt(message, fault);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(whole.length + (fault === 'message-cut' ? 3 : 0), 1);
  return Buffer.concat([head, whole]);
}
