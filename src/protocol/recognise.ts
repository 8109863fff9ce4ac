// Which protocol a request speaks, told from its request line and headers alone.
import type { IncomingHttpHeaders } from 'node:http';

/** The protocol whose rules apply to a request's body. */
export interface Recognised {
  readonly protocol: 'v1' | 'v2';
}

const v1: Recognised = Object.freeze({ protocol: 'v1' });
const v2: Recognised = Object.freeze({ protocol: 'v2' });

// Names are matched as the bytes that were sent. Percent escapes and other odd characters are neither decoded nor
// guessed at: such a path matches nothing and passes through untouched. So does a name of dots only, which a server
// might resolve as a path.
const name = String.raw`(?!\.{1,2}[/:?])[\w.~-]+`;
const v1Path = new RegExp(String.raw`^/v1/models/${name}(?:/versions/${name})?:predict(?:\?.*)?$`);
const v2Path = new RegExp(String.raw`^/v2/models/${name}(?:/versions/${name})?/infer(?:\?.*)?$`);
const json = /^application\/json(?:\s*;\s*charset="?utf-8"?)?\s*$/i;

/**
 * V1 `:predict`, V2 `/infer` in JSON, or null for everything else, which passes through: other methods and paths,
 * CloudEvents, encoded bodies, the binary extension and content types that are not JSON in UTF-8.
 *
 * Servers differ in what they make of `application/json; charset=utf-8` (KServe hands it to V1 models undecoded), so
 * the content type belongs to the lane and is forwarded exactly as it came.
 *
 * @param rawUrl the request target as sent; only the origin form (`/path?query`) is recognised.
 * @param headers lower-case names, as node:http gives them.
 */
export function recognise(method: string, rawUrl: string, headers: IncomingHttpHeaders): Recognised | null {
  if (method !== 'POST') return null;
  const found = v2Path.test(rawUrl) ? v2 : v1Path.test(rawUrl) ? v1 : null;
  if (found === null) return null;
  const type = headers['content-type'];
  if (type !== undefined && type !== 'application/json' && !json.test(type)) return null;
  if (headers['inference-header-content-length'] !== undefined) return null;
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') return null;
  for (const header in headers) if (header.startsWith('ce-')) return null;
  return found;
}
