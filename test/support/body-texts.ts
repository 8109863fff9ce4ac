// Random bodies of V1 and V2, as texts: white space, order of keys, spellings of numbers and strings are all free.
import fc from 'fast-check';

/** What is the same in all bodies of one client. */
export interface Style {
  /** White space between tokens, used in turns. */
  spaces: string[];
  /** Positions that put members in another order. */
  order: number[];
}

export const numberText = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -300, max: 300 }).map(String) },
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.constantFrom(
    '0',
    '-0',
    '0.0',
    '1E5',
    '1e+05',
    '2.50e-007',
    '9007199254740993',
    '-0.1e1',
    '1e400',
    '0e0',
    '123456789012345678901234567890',
  ),
);

const stringPart = fc.constantFrom(
  'a',
  ',',
  ']',
  '}',
  '[1,2]',
  '\\"',
  '\\\\',
  '\\u00e9',
  '\\ud83d\\ude00',
  '\\ud800',
  'é',
  '😀',
  '\u2028',
  ' ',
  ':',
  '{"a":1}',
  '0123456789abcdef',
  '\\/',
  '\\b\\f\\n\\r\\t',
);
export const stringText = fc.array(stringPart, { maxLength: 6 }).map((parts) => `"${parts.join('')}"`);

const literalText = fc.constantFrom('true', 'false', 'null');
const space = fc.constantFrom('', '', '', ' ', '\n', '\t', '\r\n  ');
export const styles = fc.record<Style>({
  spaces: fc.array(space, { minLength: 1, maxLength: 7 }),
  order: fc.array(fc.nat(9), { minLength: 8, maxLength: 8 }),
});

/** Any JSON value. */
export const anyText: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    numberText,
    stringText,
    literalText,
    fc.array(numberText, { maxLength: 30 }).map((values) => `[${values.join(', ')}]`),
    fc.tuple(styles, fc.array(tie('value'), { maxLength: 4 })).map(([style, values]) => writeList(values, style)),
    fc.tuple(styles, fc.array(tie('value'), { maxLength: 3 })).map(([style, values]) =>
      writeObject(
        values.map((value, i) => [`k${i}`, value]),
        { ...style, order: [] },
      ),
    ),
  ),
})).value;

/** Rows of one form, each a text: numbers, vectors, matrices, strings, images in base64, objects. */
export const rowForms: fc.Arbitrary<fc.Arbitrary<string>> = fc.oneof(
  fc.constantFrom(numberText, stringText, fc.constantFrom('true', 'false')),
  fc.integer({ min: 0, max: 40 }).chain((length) => fc.constant(listOf(numberText, length))),
  fc.integer({ min: 1, max: 4 }).map((length) => listOf(listOf(numberText, 2), length)),
  fc.constant(stringText.map((text) => `{"b64":${text}}`)),
  fc.constant(
    fc
      .tuple(numberText, stringText, listOf(numberText, 3))
      .map(([a, b, c]) => `{"age": ${a}, "city":${b},"tags" :${c}}`),
  ),
);

function listOf(element: fc.Arbitrary<string>, length: number): fc.Arbitrary<string> {
  return fc
    .tuple(fc.array(element, { minLength: length, maxLength: length }), fc.constantFrom(',', ', ', ' ,\n'))
    .map(([values, separator]) => `[${values.join(separator)}]`);
}

export function writeList(values: readonly string[], style: Style): string {
  const next = spacesOf(style);
  return `[${next()}${values.map((value) => `${value}${next()}`).join(`,${next()}`)}]`;
}

/** An object of the members, ordered and spaced by the style. */
export function writeObject(members: readonly (readonly [string, string])[], style: Style): string {
  const next = spacesOf(style);
  const place = (index: number) => style.order[index % Math.max(style.order.length, 1)] ?? 0;
  const ordered = members.map((each, index) => ({ each, index })).sort((a, b) => place(a.index) - place(b.index));
  const written = ordered.map(({ each: [key, value] }) => `${next()}"${key}"${next()}:${next()}${value}${next()}`);
  return `{${written.join(',') || next()}}`;
}

function spacesOf(style: Style): () => string {
  let turn = 0;
  return () => style.spaces[turn++ % style.spaces.length] as string;
}

/** Members beside the rows, the same in all bodies of one client. */
export const otherMembers = fc.uniqueArray(
  fc.tuple(fc.constantFrom('signature_name', 'model', 'meta', 'é', ''), anyText),
  {
    selector: ([key]) => key,
    maxLength: 3,
  },
);

/** One tensor's nature: everything but its rows. */
export interface TensorForm {
  name: string;
  datatype: string;
  /** Dimensions behind the first one. */
  rest: number[];
  nested: boolean;
  parameters: string | null;
}

const datatypes = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
];

export const tensorForms = fc.record<TensorForm>({
  name: fc.constantFrom('x', 'input-0', 'ids'),
  datatype: fc.constantFrom(...datatypes),
  rest: fc.oneof(
    fc.constant<number[]>([]),
    fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
    fc.constant<number[]>([40]),
  ),
  nested: fc.boolean(),
  parameters: fc.option(fc.constantFrom('{"content_type":"np"}', 'null')),
});

/** Elements of a datatype. */
export function elementsOf(datatype: string): fc.Arbitrary<string> {
  if (datatype === 'BYTES') return stringText;
  return datatype === 'BOOL' ? fc.constantFrom('true', 'false') : numberText;
}

/** A tensor of `items` rows as text; `elements` are as many as its shape says. */
export function writeTensor(
  form: TensorForm,
  items: number,
  elements: readonly string[],
  style: Style,
  inner: Style,
): string {
  const shape = [items, ...form.rest];
  const data = form.nested ? nest(elements, shape, inner) : writeList(elements, inner);
  const members: [string, string][] = [
    ['name', JSON.stringify(form.name)],
    ['shape', writeList(shape.map(String), style)],
    ['datatype', JSON.stringify(form.datatype)],
    ['data', data],
  ];
  if (form.parameters !== null) members.push(['parameters', form.parameters]);
  return writeObject(members, style);
}

function nest(elements: readonly string[], shape: readonly number[], style: Style): string {
  const [first = 1, ...rest] = shape;
  if (rest.length === 0) return writeList(elements, style);
  const size = elements.length / first;
  return writeList(
    Array.from({ length: first }, (_, i) => nest(elements.slice(i * size, (i + 1) * size), rest, style)),
    style,
  );
}
