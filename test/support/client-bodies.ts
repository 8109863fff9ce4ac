// What one client sends: bodies of V1 and V2 that differ in what bodies of one lane may differ in.
import fc from 'fast-check';
import {
  anyText,
  elementsOf,
  otherMembers,
  rowForms,
  stringText,
  styles,
  type TensorForm,
  tensorForms,
  writeList,
  writeObject,
  writeTensor,
} from './body-texts.ts';

/** Bodies of one client: those of equal form may be merged. */
export const v1Bodies = fc
  .tuple(styles, fc.constantFrom('instances', 'inputs'), otherMembers, rowForms)
  .chain(([style, name, others, row]) =>
    fc
      .array(
        fc.tuple(styles, fc.array(fc.oneof({ weight: 20, arbitrary: row }, anyText), { minLength: 1, maxLength: 6 })),
        {
          minLength: 1,
          maxLength: 5,
        },
      )
      .map((bodies) => bodies.map(([inner, rows]) => writeObject([[name, writeList(rows, inner)], ...others], style))),
  );

export const v2Bodies = fc
  .tuple(
    styles,
    fc.array(tensorForms, { minLength: 1, maxLength: 3 }),
    otherMembers,
    fc.boolean(),
    fc.constantFrom('none', 'null', 'numbers', 'other'),
  )
  .chain(([style, forms, others, withId, parameters]) =>
    fc.array(request(forms), { minLength: 1, maxLength: 5 }).map((requests) =>
      requests.map(({ items, elements, inner, id, timeout, priority }) => {
        const tensors = forms.map((form, i) => writeTensor(form, items, elements[i] as string[], style, inner));
        const members: [string, string][] = [['inputs', writeList(tensors, style)], ...others];
        if (withId) members.push(['id', id]);
        if (parameters === 'null') members.push(['parameters', 'null'], ['outputs', 'null']);
        if (parameters === 'other') members.push(['parameters', '{"headers":{"a":[1,2]},"timeout":"soon"}']);
        if (parameters === 'numbers')
          members.push([
            'parameters',
            writeObject(
              [
                ['timeout', timeout],
                ['x', '[1]'],
                ['priority', priority],
              ],
              style,
            ),
          ]);
        return writeObject(members, style);
      }),
    ),
  );

function request(forms: readonly TensorForm[]) {
  return fc.integer({ min: 1, max: 5 }).chain((items) =>
    fc.record({
      items: fc.constant(items),
      inner: styles,
      id: stringText,
      timeout: fc.constantFrom('1', '50000', '1e6', '0'),
      priority: fc.constantFrom('0', '1', '2', '7'),
      elements: fc.tuple(...forms.map((form) => elementsFor(form, items))),
    }),
  );
}

/** As many elements as a tensor of so many rows has. */
export function elementsFor(form: TensorForm, items: number): fc.Arbitrary<string[]> {
  const count = form.rest.reduce((product, each) => product * each, items);
  return fc.array(elementsOf(form.datatype), { minLength: count, maxLength: count });
}

/** A request's text with the names that a reply has. */
export function asReply(text: string): string {
  return text.replace(/"(instances|inputs)"/, text.includes('datatype') ? '"outputs"' : '"predictions"');
}
