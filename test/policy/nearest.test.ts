import * as assert from 'uvu/assert';
import { nearest } from '../../src/policy/nearest.ts';
import { suite } from '../support/suite.ts';

const names = ['slo', 'slo-percentile', 'max-batch-size', 'late', 'late-timeout'];

suite('nearest name', (test) => {
  test('what is near nothing has none', () => {
    assert.is(nearest('budget-of-the-year', names), undefined);
    assert.is(nearest('', ['max-batch-size']), undefined);
    assert.is(nearest('slo', []), undefined);
  });

  test('letters that are missing, wrong, or too many', () => {
    assert.is(nearest('max-batchsize', names), 'max-batch-size');
    assert.is(nearest('max-bach-sise', names), 'max-batch-size');
    assert.is(nearest('laate', names), 'late');
    assert.is(nearest('slo-percentage', names), 'slo-percentile');
    assert.is(nearest('slo', names), 'slo');
  });
});
