import * as assert from 'uvu/assert';
import { selectFiles } from '../support/select-files.ts';
import { suite } from '../support/suite.ts';

const all = ['cluster/faults.test.ts', 'cluster/fleet.test.ts', 'companion/faults.test.ts', 'kernels/batching.test.ts'];

suite('which test files are run', (test) => {
  test('a word that matches nothing is said, and nothing is run', () => {
    assert.equal(selectFiles(all, ['nowhere']), { files: [], notes: ['no test file matches nowhere'] });
  });

  test('slow suites are left out, with words too, and their command is named where a word matches nothing else', () => {
    assert.equal(selectFiles(all, []).files, ['companion/faults.test.ts', 'kernels/batching.test.ts']);
    assert.equal(selectFiles(all, ['faults']), { files: ['companion/faults.test.ts'], notes: [] });
    assert.equal(selectFiles(all, ['fleet', 'batching']), {
      files: ['kernels/batching.test.ts'],
      notes: ['fleet is in a suite of its own: npm run test:cluster -- fleet'],
    });
  });
});
