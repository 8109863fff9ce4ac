import { createHash } from 'node:crypto';
import { type HoleKind, Template } from '../../assembly/wire/codes.ts';

/** Templates up to this long are their own signature; longer ones are hashed with SHA-256. */
const literalSignatureMax = 1024;

/** Part of a body that differs between bodies of one lane. Offsets in bytes. */
export interface Hole {
  readonly kind: HoleKind;
  readonly start: number;
  readonly end: number;
  /** Elements of a list, or the value of a first dimension. */
  readonly rows: number;
}

/** The signatures of the templates in the kernel's table: a string is made once a template, not once a body. */
export class TemplateSignatures {
  readonly #places: string[] = [];

  /** The signature of a body whose template the kernel has named. */
  of(template: number, body: Uint8Array, holes: readonly Hole[], form: number): string {
    if (template < Template.Places) return this.#places[template] as string;
    const signature = signatureOf(Buffer.from(body.buffer, body.byteOffset, body.length), holes, form);
    if (template < Template.TooLong) this.#places[template - Template.Places] = signature;
    return signature;
  }
}

/**
 * The form of the rows, each hole's kind with the number of bytes before it, and all bytes outside the holes: no hash below
 * 1 KB. The numbers keep a message apart that has, where another one has a hole, bytes that look like it.
 */
function signatureOf(body: Buffer, holes: readonly Hole[], form: number): string {
  let template = form.toString(36);
  let outside = '';
  let at = 0;
  for (const { kind, start, end } of holes) {
    template += ` ${kind}.${start - at}`;
    outside += body.toString('latin1', at, start);
    at = end;
  }
  template += `\u0000${outside}${body.toString('latin1', at, body.length)}`;
  if (template.length <= literalSignatureMax) return template;
  return createHash('sha256').update(template, 'latin1').digest('base64');
}
