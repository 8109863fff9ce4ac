import type { IncomingHttpHeaders } from 'node:http';
import { jsonLengthHeader } from './binary-header.ts';
import type { ProtocolName } from './protocol.ts';

/** Names of models and versions that are recognised. A name with an escape or anything else is forwarded as it is. */
const v1Path = /^\/v1\/models\/[A-Za-z0-9._~-]+(?:\/versions\/[A-Za-z0-9._~-]+)?:predict$/;
const grpcPath = '/inference.GRPCInferenceService/ModelInfer';
const v2Path = /^\/v2\/models\/[A-Za-z0-9._~-]+(?:\/versions\/[A-Za-z0-9._~-]+)?\/infer$/;

/**
 * Which protocol a request speaks, or null where it is to be forwarded untouched. Reads the raw target, never a decoded
 * one. CloudEvents and encoded bodies are forwarded.
 */
export function recognise(
  method: string,
  rawUrl: string,
  headers: IncomingHttpHeaders,
  httpVersion = 1,
): ProtocolName | null {
  if (method !== 'POST') return null;
  if (rawUrl === grpcPath) {
    const isMessage = /^application\/grpc(?:\+proto)?\s*(?:;|$)/i.test(headers['content-type'] ?? '');
    return isMessage && httpVersion === 2 ? 'grpc' : null;
  }
  const query = rawUrl.indexOf('?');
  const path = query < 0 ? rawUrl : rawUrl.slice(0, query);
  const protocol = v1Path.test(path) ? 'v1' : v2Path.test(path) ? 'v2' : null;
  return protocol && isReadable(headers, protocol === 'v2') ? protocol : null;
}

/** Whether a body is JSON as far as its headers say, or, where it may be, JSON with raw tensors behind it. */
function isReadable(headers: IncomingHttpHeaders, maybeRaw: boolean): boolean {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') return false;
  if (headers['ce-specversion'] !== undefined || headers['ce-id'] !== undefined) return false;
  const raw = headers[jsonLengthHeader] !== undefined;
  const type = headers['content-type'];
  const known = type === undefined || /^application\/json\s*(?:;|$)/i.test(type);
  return raw ? maybeRaw && (known || /^application\/octet-stream\s*(?:;|$)/i.test(type)) : known;
}
