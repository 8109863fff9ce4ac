import * as assert from 'uvu/assert';
import { Pieces } from '../../src/protocol/pieces.ts';
import { suite } from '../support/suite.ts';

const letters = Buffer.from('abcdefghijklmnopqrstuvwxyz'.repeat(10));
const large = Buffer.alloc(40_000, 'L');

suite('pieces', (test) => {
  test('refuses a piece that is not all in its buffer', () => {
    const pieces = new Pieces();
    for (const [start, end] of [
      [-1, 3],
      [3, 2],
      [200, letters.length + 1],
      [Number.NaN, 3],
    ] as const) {
      assert.throws(() => pieces.add(letters, start, end), /outside its buffer/);
    }
    assert.equal(pieces.take().map(String), ['']);
  });

  test('nothing, or pieces of no bytes, are one empty slice', () => {
    const pieces = new Pieces();
    assert.equal(pieces.take().map(String), ['']);
    pieces.add(letters, 5, 5);
    assert.equal(pieces.take().map(String), ['']);
  });

  test('small pieces become one slice, in order, whatever their length', () => {
    const pieces = new Pieces();
    let expected = '';
    for (let length = 1; length < 120; length++) {
      pieces.add(letters, length, 2 * length);
      expected += letters.toString('latin1', length, 2 * length);
    }
    assert.equal(pieces.take().map(String), [expected]);
  });

  test('large pieces stay views of their source, and what lies between is joined', () => {
    const pieces = new Pieces();
    pieces.add(letters, 0, 3);
    pieces.add(letters, 3, 6);
    pieces.add(large, 0, 30_000);
    pieces.add(large, 1, 30_000);
    pieces.add(letters, 6, 7);
    const slices = pieces.take();
    assert.equal(
      slices.map((slice) => slice.length),
      [6, 30_000, 29_999, 1],
    );
    assert.is(slices[0]?.toString(), 'abcdef');
    assert.is(slices[1]?.buffer, large.buffer);
    assert.is(slices[2]?.byteOffset, large.byteOffset + 1);
    assert.is(slices[3]?.toString(), 'g');
  });

  test('a second use begins empty', () => {
    const pieces = new Pieces();
    pieces.add(large, 0, 30_000);
    pieces.take();
    pieces.add(letters, 0, 2);
    assert.equal(pieces.take().map(String), ['ab']);
  });
});
