import { renamedMessage } from '../../protocol/message-name.ts';

// One model under two names: callers ask for the group's, the model server knows its own.

const space = new Set([0x20, 0x09, 0x0a, 0x0d]);
const quote = 0x22;
const keyMax = 16;

/** Puts the own name into what goes to the model and the group's name into what comes back. */
export class VariantName {
  readonly #group: string;
  readonly #own: string;
  readonly #path: RegExp;

  /** @param group what callers say; @param own what the model server says. */
  constructor(group: string, own: string) {
    this.#group = group;
    this.#own = own;
    const escaped = group.replace(/[.~-]/g, '\\$&');
    this.#path = new RegExp(`^(/v1/models/|/v2/models/|/v2/repository/models/)${escaped}(?=[/:?]|$)`);
  }

  /** The target with the own name, or undefined where it does not ask for the group. */
  ownTarget(target: string): string | undefined {
    return this.#path.test(target) ? target.replace(this.#path, (_, prefix: string) => prefix + this.#own) : undefined;
  }

  /** A request's JSON with the own name in its `model_name`, if it has one. */
  ownJson(json: Buffer): Buffer {
    return new Renaming(['model_name'], this.#group, this.#own).whole(json);
  }

  /** A gRPC message that asks for the group, with the own name in it; undefined where it does not. */
  ownMessage(message: Buffer): Buffer | undefined {
    return renamedMessage(message, this.#group, this.#own);
  }

  /** A reply to such a message with the group's name in it; undefined where it bears another one. */
  restoredMessage(message: Buffer): Buffer | undefined {
    return renamedMessage(message, this.#own, this.#group);
  }

  /** What gives the group its name back in a reply to this target; undefined where such a reply names no model. */
  restoring(target: string): Renaming | undefined {
    const path = target.split('?', 1)[0] as string;
    if (/:[a-z]+$/.test(path)) return undefined;
    return new Renaming(path.endsWith('/infer') ? ['model_name'] : ['name', 'model_name'], this.#own, this.#group);
  }
}

/**
 * Replaces the first string of this content among the members of a JSON object, the outermost one, that bears one of these
 * keys. Works on a body as it streams by; whatever it is, all of it comes out, and nothing else changes.
 *
 * ```
 *   {"outputs": [{"name": "own", …}], "model_name": "own", …}
 *                 └ deeper: stays        └ key ┘ : └ value ┘ replaced; what follows is not read any more
 * ```
 */
export class Renaming {
  readonly #keys: ReadonlySet<string>;
  readonly #from: Buffer;
  readonly #to: Buffer;
  #done = false;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** What the next string of the outermost object is. */
  #next: 'key' | 'value' | 'wanted' = 'key';
  #key = '';
  #readingKey = false;
  /** The beginning of a value that may be the one, cut off by the end of a piece. */
  #held: Buffer | undefined;

  constructor(keys: readonly string[], from: string, to: string) {
    this.#keys = new Set(keys);
    this.#from = Buffer.from(`"${from}"`);
    this.#to = Buffer.from(`"${to}"`);
  }

  /** The next piece, as it is to be written. */
  push(piece: Buffer): Buffer[] {
    if (this.#done) return [piece];
    const bytes = this.#held ? Buffer.concat([this.#held, piece]) : piece;
    this.#held = undefined;
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i] as number;
      if (this.#inString) this.#readString(byte);
      else if (byte === quote && this.#depth === 1 && this.#next === 'wanted') {
        const value = bytes.subarray(i, i + this.#from.length);
        if (value.equals(this.#from)) {
          this.#done = true;
          return [bytes.subarray(0, i), this.#to, bytes.subarray(i + value.length)].filter(({ length }) => length > 0);
        }
        if (value.equals(this.#from.subarray(0, value.length)) && value.length < this.#from.length) {
          this.#held = value;
          return i > 0 ? [bytes.subarray(0, i)] : [];
        }
        this.#next = 'value';
        this.#inString = true;
      } else if (!this.#readOutside(byte)) {
        this.#done = true;
        return [bytes];
      }
    }
    return [bytes];
  }

  /** A body that is all there. */
  whole(body: Buffer): Buffer {
    return Buffer.concat([...this.push(body), ...this.end()]);
  }

  /** What was held back, when nothing more comes. */
  end(): Buffer[] {
    const held = this.#held;
    this.#held = undefined;
    return held ? [held] : [];
  }

  #readString(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === 0x5c) this.#escaped = true;
    else if (byte === quote) {
      this.#inString = false;
      this.#readingKey = false;
      return;
    }
    if (this.#readingKey && this.#key.length < keyMax) this.#key += String.fromCharCode(byte);
  }

  /** Follows the structure; false where the body is no object, or it has ended. */
  #readOutside(byte: number): boolean {
    if (byte === quote) {
      this.#inString = true;
      this.#readingKey = this.#depth === 1 && this.#next === 'key';
      if (this.#readingKey) this.#key = '';
      return this.#depth > 0;
    }
    if (byte === 0x7b || byte === 0x5b) {
      if (this.#depth === 0 && byte === 0x5b) return false;
      this.#depth++;
      return true;
    }
    if (byte === 0x7d || byte === 0x5d) return --this.#depth > 0;
    if (this.#depth === 0) return space.has(byte);
    if (this.#depth > 1) return true;
    if (byte === 0x3a) this.#next = this.#keys.has(this.#key) ? 'wanted' : 'value';
    else if (byte === 0x2c) this.#next = 'key';
    return true;
  }
}
