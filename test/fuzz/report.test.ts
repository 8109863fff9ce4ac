import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { type FuzzedTarget, withTarget } from './report.ts';

const from = { machine: '2 x Some CPU', node: 'v20.0.0', commit: 'abc1234567', date: '2025-01-02T03:04:05Z' };
const names = ['wire', 'http', 'grpc'];

function target(name: string, runs: number): FuzzedTarget {
  return { name, runs, seconds: 3, findings: [], figures: [['refused', runs]], asked: `--only ${name}`, seed: 5 };
}

suite('docs/reports/fuzz.md', (test) => {
  test('a target that is tried again replaces its own section and leaves the others, with their dates', () => {
    const two = withTarget(withTarget('', target('grpc', 20), from, names), target('wire', 1000), from, names);
    assert.ok(two.indexOf('## wire') < two.indexOf('## grpc'), 'in the order of the list');
    const again = withTarget(two, target('wire', 2000), { ...from, date: '2026-01-01T00:00:00Z' }, names);
    assert.match(again, '2026-01-01T00:00:00Z, commit abc1234567, Node.js v20.0.0, 2 x Some CPU.');
    assert.match(again, '`npm run fuzz -- --only wire`, seed 5: 2000 tried in 3 s, 0 findings.');
    assert.not.match(again, '| refused | 1000 |');
    const grpc = (text: string) => text.slice(text.indexOf('<!-- fuzz:grpc -->'));
    assert.match(grpc(two), '2025-01-02T03:04:05Z');
    assert.is(grpc(again), grpc(two));
    assert.is(again.split('# Fuzzing').length, 2, 'one head');
  });
});
