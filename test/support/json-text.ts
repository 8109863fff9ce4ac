// JSON texts with the place of every value in them: JSON.parse says whether a text is valid, a plain walk says where.

export interface JsonValue {
  kind: 'number' | 'string' | 'boolean' | 'null' | 'list' | 'object';
  /** Offsets in bytes of its first byte and behind its last one. */
  start: number;
  end: number;
  /** Elements of a list, or values of an object. */
  values: JsonValue[];
  /** Keys of an object as they are written, without quotes. */
  keys: string[];
  /** Levels of lists and objects, itself included. */
  depth: number;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The value of a text, or null where it is not JSON in well-formed UTF-8. */
export function readJson(body: Uint8Array): JsonValue | null {
  try {
    JSON.parse(utf8.decode(body));
  } catch {
    return null;
  }
  const reader = new Reader(Buffer.from(body).toString('latin1'));
  return reader.value();
}

/** Walks a text that is known to be valid. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#skip(/[ \t\r\n]*/y);
  }

  value(): JsonValue {
    const start = this.#at;
    const value: JsonValue = { kind: 'null', start, end: 0, values: [], keys: [], depth: 0 };
    const first = this.#text[start] as string;
    if (first === '[' || first === '{') this.#members(value, first === '{');
    else if (first === '"') {
      value.kind = 'string';
      this.#skip(/"(?:[^"\\]|\\.)*"/y);
    } else if (/[tf]/.test(first)) {
      value.kind = 'boolean';
      this.#skip(/true|false/y);
    } else if (first === 'n') this.#skip(/null/y);
    else {
      value.kind = 'number';
      this.#skip(/[-+0-9.eE]+/y);
    }
    value.end = this.#at;
    return value;
  }

  #members(into: JsonValue, object: boolean): void {
    into.kind = object ? 'object' : 'list';
    this.#skip(/[[{][ \t\r\n]*/y);
    while (!/[\]}]/.test(this.#text[this.#at] as string)) {
      if (object) {
        const key = this.#at + 1;
        this.#skip(/"(?:[^"\\]|\\.)*"/y);
        into.keys.push(this.#text.slice(key, this.#at - 1));
        this.#skip(/[ \t\r\n]*:[ \t\r\n]*/y);
      }
      into.values.push(this.value());
      this.#skip(/[ \t\r\n]*,?[ \t\r\n]*/y);
    }
    this.#at++;
    into.depth = 1 + Math.max(0, ...into.values.map((each) => each.depth));
  }

  #skip(pattern: RegExp): void {
    pattern.lastIndex = this.#at;
    this.#at += pattern.exec(this.#text)?.[0].length ?? 0;
  }
}

/** The value behind a key, or undefined. */
export function member(object: JsonValue, key: string): JsonValue | undefined {
  const index = object.keys.indexOf(key);
  return index < 0 ? undefined : object.values[index];
}

/** The leaves below a value, itself where it is one. */
export function leavesOf(value: JsonValue): JsonValue[] {
  return value.kind === 'list' || value.kind === 'object' ? value.values.flatMap(leavesOf) : [value];
}

/** How a value is built: brackets, keys and a dot for each leaf. */
export function structureOf(value: JsonValue): string {
  if (value.kind === 'list') return `[${value.values.map(structureOf).join()}]`;
  if (value.kind !== 'object') return '.';
  return `{${value.values.map((each, i) => `"${value.keys[i]}":${structureOf(each)}`).join()}}`;
}

/** The kinds of leaves in a value, in alphabetical order; a null has none. */
export function kindsOf(value: JsonValue): string {
  const kinds = new Set(leavesOf(value).map((leaf) => leaf.kind));
  kinds.delete('null');
  return [...kinds].sort().join();
}
