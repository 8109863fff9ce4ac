import * as assert from 'uvu/assert';
import { figure, withReport } from '../../bench/document.ts';
import type { BenchReport } from '../../bench/report.ts';
import { suite } from '../support/suite.ts';

const from = { machine: '2 x Some CPU', node: 'v20.0.0', commit: 'abc1234567', date: '2025-01-02T03:04:05Z' };

function report(name: string, value: number): BenchReport {
  const rows = [
    { name: 'ratio', value, unit: 'x less CPU', bar: '>= 5', holds: value >= 5 },
    { name: 'only | informs', value: 1234.5, unit: 'us' },
  ];
  return { name, title: `Title of ${name}`, rows, notes: ['A note.'] };
}

suite('docs/benchmarks.md', (test) => {
  test('a report becomes a table that says what holds and where it was measured', () => {
    const text = withReport('', report('wire', 4.567), from);
    assert.match(text, '## Title of wire (`wire`)');
    assert.match(text, '2025-01-02T03:04:05Z, commit abc1234567, Node v20.0.0, 2 x Some CPU');
    assert.match(text, '| ratio | 4.57 | x less CPU | >= 5 | **no** |');
    assert.match(text, '| only \\| informs | 1235 | us |  |  |');
    assert.match(text, /\nA note\.\n/);
  });

  test('a new report replaces its own section and leaves the others as they are', () => {
    const two = withReport(withReport('', report('policy', 6), from), report('wire', 4), from);
    assert.ok(two.indexOf('of wire') < two.indexOf('of policy'), 'in the order of the list');
    const again = withReport(two, report('wire', 7), { ...from, commit: 'def' });
    assert.match(again, '| ratio | 7 | x less CPU | >= 5 | yes |');
    assert.not.match(again, '| ratio | 4 |');
    const policy = (text: string) => text.slice(text.indexOf('<!-- bench:policy -->'));
    assert.is(policy(again), policy(two));
    assert.is(again.split('# Benchmarks').length, 2, 'one head');
  });

  test('writing the same report twice changes nothing', () => {
    const once = withReport('', report('kernel', 6), from);
    assert.is(withReport(once, report('kernel', 6), from), once);
  });

  test('figures keep three digits', () => {
    assert.equal([0.012345, 4.5678, 99.96, 123.4, 12345.6, 0, Number.NaN].map(figure), [
      '0.0123',
      '4.57',
      '100',
      '123',
      '12346',
      '0',
      'NaN',
    ]);
  });
});
