/** A template is no body that can be made larger. */
export class TemplateError extends Error {
  readonly code = 'PL_REPLAY_BODY';
}

/** Bodies that are kept, so that the like of them need not be made again. */
const keptMax = 64;
const keptBytesMax = 1_048_576;

interface Tensor {
  readonly shape: number[];
  readonly data: unknown[];
}

/**
 * Makes bodies of recorded sizes out of one that its user gives. A body of `instances` or of `inputs` gets as many items as
 * were recorded, those of the template over and over; any other stays as it is. Where the result is shorter than what
 * was recorded, blanks fill it up, inside of the last list: there they keep no requests apart.
 */
export class BodyTemplate {
  readonly #make: (items: number) => { text: string; fillAt: number };
  readonly #kept = new Map<string, Buffer>();
  #keptBytes = 0;
  /** Whether bodies have as many items as are asked for. */
  readonly hasItems: boolean;

  /** @throws {TemplateError} where the text is no JSON object. */
  constructor(text: string) {
    let template: unknown;
    try {
      template = JSON.parse(text);
    } catch (error) {
      throw new TemplateError(`the body is not JSON: ${(error as Error).message}`);
    }
    if (typeof template !== 'object' || template === null || Array.isArray(template)) {
      throw new TemplateError('the body is not a JSON object such as {"instances":[...]}');
    }
    const fields = template as Record<string, unknown>;
    const { instances, inputs, ...rest } = fields;
    this.hasItems = true;
    // What grows comes last, so that the end of its list is where it is.
    if (isFilled(instances)) this.#make = (items) => filled({ ...rest, instances: repeated(instances, items) }, ']}');
    else if (isFilled(inputs) && inputs.every(isTensor)) {
      this.#make = (items) =>
        filled({ ...rest, inputs: (inputs as Tensor[]).map((each) => grown(each, items)) }, ']}]}');
    } else if (isFilled(inputs)) this.#make = (items) => filled({ ...rest, inputs: repeated(inputs, items) }, ']}');
    else {
      this.hasItems = false;
      this.#make = () => ({ text, fillAt: text.lastIndexOf('}') });
    }
  }

  /** A body of so many items and, where they take less, so many bytes. */
  body(items: number, bytes: number): Buffer {
    const key = `${items} ${bytes}`;
    const known = this.#kept.get(key);
    if (known) return known;
    const { text, fillAt } = this.#make(Math.max(1, items));
    const missing = bytes - Buffer.byteLength(text);
    const body = Buffer.from(missing > 0 ? text.slice(0, fillAt) + ' '.repeat(missing) + text.slice(fillAt) : text);
    if (this.#kept.size >= keptMax || this.#keptBytes + body.length > keptBytesMax) {
      this.#kept.clear();
      this.#keptBytes = 0;
    }
    this.#kept.set(key, body);
    this.#keptBytes += body.length;
    return body;
  }
}

function isFilled(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.length > 0;
}

function isTensor(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { shape, data } = value as Partial<Tensor>;
  return isFilled(shape) && shape.every((each) => Number.isInteger(each)) && (shape[0] as number) > 0 && isFilled(data);
}

function repeated(rows: readonly unknown[], items: number): unknown[] {
  return Array.from({ length: items }, (_, i) => rows[i % rows.length]);
}

/** A tensor of so many rows. Its data may be a list of rows or flat. */
function grown(tensor: Tensor, items: number): Tensor {
  const { shape, data, ...rest } = tensor;
  const rows = shape[0] as number;
  const width = data.length / rows;
  return {
    ...rest,
    shape: [items, ...shape.slice(1)],
    data: Array.from({ length: items }, (_, i) => data.slice((i % rows) * width, ((i % rows) + 1) * width)).flat(),
  };
}

/** The text of a body, and where blanks may be added: before its last list ends, with which the text ends. */
function filled(body: object, end: string): { text: string; fillAt: number } {
  const text = JSON.stringify(body);
  return { text, fillAt: text.length - end.length };
}
