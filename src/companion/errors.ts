import { Reason } from '../kernels/reasons.ts';

/** One way a request can end without the model's answer. */
export interface ErrorSpec {
  readonly status: number;
  readonly message: string;
  /** What the caller or the operator can do. */
  readonly help: string;
  /** Seconds for `Retry-After`, where trying again makes sense. */
  readonly retryAfter?: number;
}

/** Every code that a companion answers with. docs/errors.md is written from this table. */
export const errorSpecs = {
  PL_BODY_SYNTAX: bad('the body is not valid JSON', 'send one JSON text as RFC 8259 has it'),
  PL_BODY_DEPTH: bad('the body nests deeper than 64 levels', 'flatten the data'),
  PL_BODY_ENCODING: bad('the body is not valid UTF-8', 'encode the body as UTF-8'),
  PL_BODY_DUPLICATE_KEY: bad('a key occurs twice in one object', 'send every key once'),
  PL_BODY_TYPE: bad(
    'a field is missing or has the wrong type',
    'compare the body with the V1 or V2 inference protocol',
  ),
  PL_BODY_SHAPE: bad(
    'shape and data of a tensor do not agree',
    'the product of `shape` must be the number of elements',
  ),
  PL_BODY_BINARY: bad(
    'sizes, shapes and bytes of the binary tensors do not agree',
    '`binary_data_size` is the product of `shape` times the width of `datatype`; in BYTES each element stands behind its length (4 bytes, little endian); Inference-Header-Content-Length is the length of the JSON',
  ),
  PL_BODY_MESSAGE: bad(
    'the body is not a valid protobuf message',
    'encode inference.ModelInferRequest as the protocol has it',
  ),
  PL_BODY_TRUNCATED: bad('the body ended before its announced length', 'send as many bytes as Content-Length says'),
  PL_HINT_VALUE: bad('a paceline-* header has no valid value', 'see "Per request" in docs/configuration.md'),
  PL_HTTP_SYNTAX: bad('the request is not valid HTTP', 'send one Content-Length, or chunked encoding, not both'),
  PL_HTTP_TARGET: bad('the request target cannot be forwarded', 'send a path that begins with /'),
  PL_HTTP_METHOD: {
    status: 405,
    message: 'the companion is no proxy for CONNECT',
    help: 'send requests to the companion as to the model',
  },
  PL_BODY_TIMEOUT: {
    status: 408,
    message: 'the request took too long to arrive',
    help: 'raise --body-timeout if callers are slow; a body that passes through may pause for 30 s, headers may take 15 s',
  },
  PL_MESSAGE_TOO_LARGE: {
    status: 413,
    message: "a message above 4 MB cannot be handed on under its caller's name for the model",
    help: 'send it under the name that the model server knows, or in smaller messages',
  },
  PL_HEADERS_TOO_LARGE: {
    status: 431,
    message: 'the headers are larger than 64 KB, or more than 256',
    help: 'send fewer or smaller headers',
  },
  PL_QUEUE_FULL: busy('as many requests wait as may wait', 'add replicas, or raise --max-waiting'),
  PL_BYTES_FULL: busy('bodies that wait hold as much memory as they may', 'add replicas, or raise --max-waiting-bytes'),
  PL_LATE_SHED: busy(
    'the request cannot meet its objective, and late work is shed',
    'add replicas, or use --late defer',
  ),
  PL_LATE_OVERFLOW: busy('more late requests wait than may wait; the oldest go first', 'add replicas'),
  PL_PASS_FULL: busy('as many requests are being forwarded as may be', 'add replicas'),
  PL_UPSTREAM_UNREACHABLE: busy(
    'the model server does not accept connections',
    'look at the model container; it may be starting',
  ),
  PL_CIRCUIT_OPEN: busy(
    'the model server has not been there for the last calls; one request at a time tries whether it is back',
    'look at the model container; paceline_circuit_state and /signals show when it is tried again',
  ),
  PL_BATCH_REFUSED: busy(
    'the model refused the batch that the request was in, and it could not be tried alone any more',
    'send it again: it will go alone; if this happens often, look for the caller whose requests the model refuses',
  ),
  PL_DRAIN_TIMEOUT: busy(
    'the companion stopped before the model had answered',
    'raise --drain-timeout, and the grace period of the pod with it, if the model is slow',
  ),
  PL_DEADLINE_UNMEETABLE: late('the deadline of the request is shorter than the model needs', 'allow more time'),
  PL_DEADLINE_EXCEEDED: late('the deadline passed before the model answered', 'add replicas, or allow more time'),
  PL_UPSTREAM_TIMEOUT: late('the model server did not answer in time', 'look at the model container'),
  PL_UPSTREAM_RESET: gateway(
    'the model server closed the connection before it had answered',
    'look at the model container for a crash',
  ),
  PL_UPSTREAM_PROTOCOL: gateway(
    'the model server does not speak gRPC (HTTP/2 without TLS) on the port that requests go to',
    'point --upstream at the port of its gRPC server',
  ),
  PL_UPSTREAM_REPLY: gateway("the model server's answer cannot be forwarded", 'look at the model container'),
  PL_INTERNAL: {
    status: 500,
    message: 'the companion failed on this request',
    help: 'send it again; report it with the log line of this code, which has the stack. Only this request, or those that shared its batch, ended: paceline_internal_errors_total counts it',
  },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof errorSpecs;

/** The code that a caller sees for a refusal of the kernel. */
export function codeOfReason(reason: Reason): ErrorCode {
  switch (reason) {
    case Reason.QueueFull:
      return 'PL_QUEUE_FULL';
    case Reason.Unmeetable:
      return 'PL_DEADLINE_UNMEETABLE';
    case Reason.LateShed:
      return 'PL_LATE_SHED';
    case Reason.LateOverflow:
      return 'PL_LATE_OVERFLOW';
    case Reason.Expired:
      return 'PL_DEADLINE_EXCEEDED';
    default:
      return 'PL_INTERNAL';
  }
}

/** A code from elsewhere, or PL_INTERNAL if it is not one of ours. */
export function knownCode(code: string): ErrorCode {
  return code in errorSpecs ? (code as ErrorCode) : 'PL_INTERNAL';
}

/** The body of an error: `{"error","code"}`. */
export function errorBody(code: ErrorCode, message?: string): Buffer {
  return Buffer.from(JSON.stringify({ error: message ?? errorSpecs[code].message, code }));
}

function bad(message: string, help: string): ErrorSpec {
  return { status: 400, message, help };
}

function busy(message: string, help: string): ErrorSpec {
  return { status: 503, message, help, retryAfter: 1 };
}

function late(message: string, help: string): ErrorSpec {
  return { status: 504, message, help };
}

function gateway(message: string, help: string): ErrorSpec {
  return { status: 502, message, help };
}
