// The messages of gRPC inference as objects, encoded and decoded by protobufjs and not by the code that is tested.
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const file = fileURLToPath(new URL('../fixtures/inference.proto', import.meta.url));
const root = new protobuf.Root().loadSync(file, { keepCase: true });

/** A parameter; one of these. */
export interface InferParameter {
  bool_param?: boolean;
  int64_param?: number;
  string_param?: string;
  uint64_param?: number;
}

/** Elements by the field of InferTensorContents that holds them. */
export type InferContents = Record<string, (number | boolean | string | Buffer)[]>;

export interface InferTensor {
  name: string;
  datatype: string;
  shape: number[];
  parameters?: Record<string, InferParameter>;
  contents?: InferContents;
}

export interface InferRequest {
  model_name: string;
  model_version?: string;
  id?: string;
  parameters?: Record<string, InferParameter>;
  inputs: InferTensor[];
  outputs?: { name: string; parameters?: Record<string, InferParameter> }[];
  raw_input_contents?: Buffer[];
}

export interface InferResponse {
  model_name: string;
  model_version?: string;
  id?: string;
  parameters?: Record<string, InferParameter>;
  outputs: InferTensor[];
  raw_output_contents?: Buffer[];
}

export function encodeRequest(request: InferRequest): Buffer {
  return encode('ModelInferRequest', request);
}

export function decodeRequest(bytes: Buffer): InferRequest {
  return decode('ModelInferRequest', bytes) as unknown as InferRequest;
}

export function encodeResponse(response: InferResponse): Buffer {
  return encode('ModelInferResponse', response);
}

export function decodeResponse(bytes: Buffer): InferResponse {
  return decode('ModelInferResponse', bytes) as unknown as InferResponse;
}

function encode(type: string, value: object): Buffer {
  const known = root.lookupType(`inference.${type}`);
  return Buffer.from(known.encode(known.fromObject(value)).finish());
}

/** 64-bit numbers as texts; fields that are not set are absent. */
function decode(type: string, bytes: Buffer): object {
  const known = root.lookupType(`inference.${type}`);
  return known.toObject(known.decode(bytes), { longs: String, bytes: Buffer });
}
