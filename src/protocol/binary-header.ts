/** The header of the V2 binary tensor extension: bytes of JSON at the beginning of a body. */
export const jsonLengthHeader = 'inference-header-content-length';

/**
 * The value of that header: undefined where there is none, and more than any body has where it is no length, so that
 * whoever reads the body refuses it.
 */
export function jsonBytesIn(value: string | string[] | undefined): number | undefined {
  if (value === undefined) return undefined;
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : Number.POSITIVE_INFINITY;
}
