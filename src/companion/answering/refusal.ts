import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type Http2ServerResponse } from 'node:http2';
import type { ErrorCode } from '../errors.ts';
import { isGrpc } from '../http/grpc-status.ts';
import { refuseGrpc } from './grpc-answer.ts';
import { writeError } from './http-answer.ts';

/** Answers with an error of ours, in the form that this caller reads, unless an answer has begun. */
export function refuse(request: IncomingMessage, response: ServerResponse, code: ErrorCode): void {
  if (isGrpc(request)) refuseGrpc(response, code);
  else writeError(response, code);
}

/** The same; an answer that has begun and not ended is broken off, so that nobody takes it for whole. */
export function refuseOrBreakOff(request: IncomingMessage, response: ServerResponse, code: ErrorCode): void {
  const { stream } = response as unknown as Partial<Http2ServerResponse>;
  if (stream === undefined ? !response.headersSent : !stream.headersSent) return refuse(request, response, code);
  if (stream === undefined ? !response.writableEnded : !stream.writableEnded) breakOff(response);
}

/** Ends an answer in its midst such that its caller sees it: without a word of its own HTTP/2 would say that all is well. */
export function breakOff(response: ServerResponse): void {
  const { stream } = response as unknown as Partial<Http2ServerResponse>;
  if (!stream) return void response.destroy();
  stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  stream.destroy();
}
