import type { Exchange } from './exchange.ts';

/** Why a part is sent that was at the model before. */
export type Resend = 'bisect' | 'halve' | 'unsplittable' | 'alone';

/** Requests that share one call. */
export interface Part {
  readonly exchanges: readonly Exchange[];
  /** Undefined the first time. */
  readonly resend: Resend | undefined;
}

/** The requests in parts of at most so many bytes and so many requests, in order. */
export function partsOf(exchanges: readonly Exchange[], callBytesMax: number, sharersMax: number): Part[] {
  const parts: { exchanges: Exchange[]; resend: undefined }[] = [];
  let bytes = Number.POSITIVE_INFINITY;
  let sharers = 0;
  for (const exchange of exchanges) {
    bytes += exchange.body.length;
    if (bytes > callBytesMax || sharers >= sharersMax) {
      parts.push({ exchanges: [], resend: undefined });
      bytes = exchange.body.length;
      sharers = 0;
    }
    sharers++;
    (parts[parts.length - 1] as Part & { exchanges: Exchange[] }).exchanges.push(exchange);
  }
  return parts;
}

/** Items of all of them. */
export function itemsOf(exchanges: readonly Exchange[]): number {
  return exchanges.reduce((sum, each) => sum + each.measured.items, 0);
}
