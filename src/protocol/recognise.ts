import type { IncomingHttpHeaders } from 'node:http';

/** Names of models and versions that are recognised. A name with an escape or anything else is forwarded as it is. */
const v1Path = /^\/v1\/models\/[A-Za-z0-9._~-]+(?:\/versions\/[A-Za-z0-9._~-]+)?:predict$/;
const v2Path = /^\/v2\/models\/[A-Za-z0-9._~-]+(?:\/versions\/[A-Za-z0-9._~-]+)?\/infer$/;

/**
 * Which protocol a request speaks, or null where it is to be forwarded untouched. Reads the raw target, never a decoded
 * one. CloudEvents, encoded bodies and V2 bodies with binary tensors are forwarded.
 */
export function recognise(method: string, rawUrl: string, headers: IncomingHttpHeaders): 'v1' | 'v2' | null {
  if (method !== 'POST') return null;
  const query = rawUrl.indexOf('?');
  const path = query < 0 ? rawUrl : rawUrl.slice(0, query);
  const protocol = v1Path.test(path) ? 'v1' : v2Path.test(path) ? 'v2' : null;
  return protocol && isPlainJson(headers) ? protocol : null;
}

function isPlainJson(headers: IncomingHttpHeaders): boolean {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') return false;
  if (headers['ce-specversion'] !== undefined || headers['ce-id'] !== undefined) return false;
  if (headers['inference-header-content-length'] !== undefined) return false;
  const type = headers['content-type'];
  return type === undefined || /^application\/json\s*(?:;|$)/i.test(type);
}
