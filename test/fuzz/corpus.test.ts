import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { caseOf, WireChecker, type WireKind, wireKinds } from './wire-cases.ts';

const lines = readFileSync(new URL('corpus/wire.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n');

suite('the corpus of the fuzzer', (test) => {
  test('every case is read by all builds as the plain references say', () => {
    const checker = new WireChecker();
    const kinds = new Map<WireKind, number>();
    // Which builds are compared takes turns.
    for (let turn = 0; turn < 4; turn++) {
      for (const line of lines) {
        const given = caseOf(line);
        assert.is(checker.wrongWith(given), undefined, line);
        kinds.set(given.kind, (kinds.get(given.kind) ?? 0) + 1);
      }
    }
    for (const kind of wireKinds) assert.ok((kinds.get(kind) ?? 0) >= 40, `${kind}: ${kinds.get(kind)} cases`);
  });
});
