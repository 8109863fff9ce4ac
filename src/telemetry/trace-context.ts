import { randomFillSync } from 'node:crypto';

/** Where a span is in a trace, as W3C Trace Context has it. Ids are hexadecimal, in lower case. */
export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** The context that a `traceparent` names, or undefined where it is none: then a trace begins here. */
export function parseTraceparent(text: unknown): TraceContext | undefined {
  const match = typeof text === 'string' ? form.exec(text) : null;
  if (!match) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', more] = match;
  // Version 00 has no more fields; later ones may, and ff is none.
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function traceparentOf({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** Random bytes are made many at once: a call of its own for each id would cost more than the id. */
const pool = Buffer.alloc(8192);
let used = pool.length;

/** A random id of so many bytes, in hexadecimal. */
function newId(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  const id = pool.toString('hex', used - bytes, used);
  // All zeros mean that there is none.
  return /[^0]/.test(id) ? id : newId(bytes);
}

export const newTraceId = () => newId(16);
export const newSpanId = () => newId(8);
