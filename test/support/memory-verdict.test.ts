import * as assert from 'uvu/assert';
import type { ProcessState } from './companion-process.ts';
import { growthLine, growths } from './memory-verdict.ts';
import { suite } from './suite.ts';

const mb = 1e6;

/** States of a process whose heap is as large as this, in MB, one after the other. */
function heaps(...sizes: number[]): ProcessState[] {
  return sizes.map((size) => ({ heapUsed: size * mb, external: 0, code: 0, rss: 90 * mb, handles: 6, files: 20 }));
}

const heapOf = (states: readonly ProcessState[], warmUp: number) => {
  const heap = growths(states, warmUp)[0];
  assert.ok(heap);
  return heap;
};

suite('what a process held at the end of a long run', (test) => {
  test('what grows after the warm-up counts though it no longer grows at the end', () => {
    const grown = heapOf(heaps(10, 30, 30, 30, 40, 40, 40, 40, 40, 40), 1);
    assert.not.ok(grown.fits);
    assert.is(growthLine(grown).slice(0, 5), 'FAIL ');
    assert.equal([grown.first, ...grown.thirds], [10 * mb, 30 * mb, 40 * mb, 40 * mb]);
  });

  test('what grows until the end counts', () => {
    assert.not.ok(heapOf(heaps(30, 30, 30, 31, 31, 31, 32, 32, 32), 0).fits);
  });

  test('what is built up in the warm-up does not, nor what one round holds', () => {
    const held = heapOf(heaps(10, 20, 30, 30, 30, 60, 30, 30, 60, 31, 31), 2);
    assert.ok(held.fits, growthLine(held));
    assert.is(held.first, 10 * mb);
  });

  test('nothing that was seen fits nowhere', () => {
    assert.ok(growths([], 0).every(({ fits }) => !fits));
  });
});
