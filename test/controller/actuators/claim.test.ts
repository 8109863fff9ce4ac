import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { claim, revertsMax } from '../../../src/controller/actuators/foreign-writes.ts';
import { type Holding, holdingText, parseHolding } from '../../../src/controller/actuators/originals.ts';
import { propertyRuns } from '../../support/property-runs.ts';
import { suite } from '../../support/suite.ts';

suite('holding fields of an object', (test) => {
  test('a text that is not ours is nothing', () => {
    for (const text of [
      '',
      'x',
      '[]',
      '{}',
      '{"original":{"a":1},"applied":{}}',
      '{"original":{},"applied":{"a":null}}',
      'x'.repeat(5000),
    ]) {
      assert.is(parseHolding(text), undefined, text.slice(0, 40));
    }
  });

  test('the same holding is the same text, whatever the order', () => {
    const one = holdingText({ original: { b: null, a: '1' }, applied: { b: '2', a: '3' }, reverts: 1 });
    assert.is(one, holdingText({ original: { a: '1', b: null }, applied: { a: '3', b: '2' }, reverts: 1 }));
    assert.equal(parseHolding(one)?.original, { a: '1', b: null });
  });

  test('the third foreign write loses the field, and the count stays', () => {
    let held: Holding | undefined;
    let present: Record<string, string | null> = { scale: '1' };
    for (let i = 1; i <= revertsMax; i++) {
      const first = claim(held, present, { scale: '5' });
      held = first.write ?? held;
      present = { scale: `${10 + i}` };
      const after = claim(held, present, { scale: '5' });
      assert.is(after.lost, i === revertsMax, `revert ${i}`);
      held = after.write as Holding;
      if (!after.lost) present = { scale: '5' };
    }
    assert.equal(held, { original: {}, applied: {}, reverts: revertsMax });
    assert.equal(claim(held, present, { scale: '6' }), { write: undefined, foreign: [], lost: true });
  });

  test("a foreign value is somebody's wish: it is what is restored later", () => {
    const held = claim(undefined, { scale: '1' }, { scale: '5' }).write as Holding;
    assert.is(claim(held, { scale: '2' }, { scale: '5' }).write?.original.scale, '2');
  });

  /** Server-side apply, as far as fields of one object go. */
  class Fields {
    readonly values: Record<string, string> = {};
    #ours = new Set<string>();

    apply({ original, applied }: Holding): void {
      const named: Record<string, string> = { ...applied };
      for (const [field, value] of Object.entries(original)) {
        if (!Object.hasOwn(applied, field) && value !== null) named[field] = value;
      }
      for (const field of this.#ours) if (!Object.hasOwn(named, field)) delete this.values[field];
      Object.assign(this.values, named);
      this.#ours = new Set(Object.keys(named));
    }

    foreign(field: string, value: string | undefined): void {
      if (this.values[field] === value) return;
      this.#ours.delete(field);
      if (value === undefined) delete this.values[field];
      else this.values[field] = value;
    }
  }

  test('whatever happens, giving back leaves what was there or what others wrote last', () => {
    const field = fc.constantFrom('a', 'b', 'c');
    // Others never write exactly what we wrote: what was changed and changed back cannot be told from what was not.
    const value = fc.constantFrom('1', '2');
    const ours = fc.constantFrom('5', '6');
    const step = fc.oneof(
      fc.record({ want: fc.dictionary(field, ours, { maxKeys: 3 }) }),
      fc.record({ field, foreign: fc.option(value, { nil: undefined }) }),
    );
    fc.assert(
      fc.property(fc.dictionary(field, value), fc.array(step, { maxLength: 12 }), (before, steps) => {
        const object = new Fields();
        for (const [name, text] of Object.entries(before)) object.foreign(name, text);
        /** What others would see without us. */
        const wished: Record<string, string | undefined> = { ...before };
        let held: Holding | undefined;
        const look = (wanted: Record<string, string>) => {
          const fields = new Set([wanted, held?.applied ?? {}, held?.original ?? {}].flatMap(Object.keys));
          const present = Object.fromEntries([...fields].map((name) => [name, object.values[name] ?? null]));
          const { write } = claim(held, present, wanted);
          if (!write) return;
          object.apply(write);
          held = write;
        };
        for (const each of steps) {
          if ('want' in each) look(each.want);
          else if (object.values[each.field] !== each.foreign) {
            object.foreign(each.field, each.foreign);
            wished[each.field] = each.foreign;
          }
        }
        for (const [name, written] of Object.entries(held?.applied ?? {})) {
          if (object.values[name] === written) object.foreign(name, held?.original[name] ?? undefined);
        }
        for (const name of ['a', 'b', 'c']) assert.is(object.values[name], wished[name], name);
      }),
      propertyRuns(3000, 11),
    );
  });
});
