import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { patchBetween } from '../../../src/controller/admission/json-patch.ts';
import { applyPatch } from '../../support/admission.ts';
import { suite } from '../../support/suite.ts';

suite('json patch', (test) => {
  test('no step where nothing changes, whatever the order of fields', () => {
    assert.equal(patchBetween({ a: [1, { b: null }], c: '' }, { c: '', a: [1, { b: null }] }), []);
  });

  test('a field named with a slash or a tilde is escaped', () => {
    assert.equal(patchBetween({}, { 'paceline.dev/a~b': 1 }), [{ op: 'add', path: '/paceline.dev~1a~0b', value: 1 }]);
  });

  test('a field that is undefined is one that is not there', () => {
    assert.equal(patchBetween({ a: 1 }, { a: undefined }), [{ op: 'remove', path: '/a' }]);
    assert.equal(patchBetween({}, { a: undefined }), []);
  });

  test('an inherited name is no field', () => {
    assert.equal(patchBetween({}, JSON.parse('{"constructor":1}')), [{ op: 'add', path: '/constructor', value: 1 }]);
  });

  test('the steps lead from one document to the other, and are the same each time', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
        // -0 and 0 are one number in JSON.
        const [before, after] = [one, other].map((each) => JSON.parse(JSON.stringify(each)));
        const steps = patchBetween(before, after);
        assert.equal(applyPatch(before, steps), after);
        assert.equal(patchBetween(before, after), steps);
      }),
    );
  });
});
