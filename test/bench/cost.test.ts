import * as assert from 'uvu/assert';
import { compareCosts } from '../../bench/cost/compare.ts';
import { counterExport, instrument } from '../../bench/cost/instrument.ts';
import { instantiateBytes, readKernel } from '../../src/kernels/load.ts';
import { WireKernel } from '../../src/kernels/wire.ts';
import { suite } from '../support/suite.ts';

type NumberFunction = (value: number) => number;

/** A module with one function `f` of an i32 to an i32, one more i32 as a local, and this code. */
function moduleOf(...code: number[]): Uint8Array {
  const body = [1, 1, 0x7f, ...code, 0x0b];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f],
    ...[3, 2, 1, 0],
    ...[7, 5, 1, 1, 0x66, 0, 0],
    ...[10, body.length + 2, 1, body.length, ...body],
  ]);
}

/** What `f(value)` gives, and how many instructions it executes. */
function executed(module: Uint8Array, value: number): { result: number; count: number } {
  const exports = instantiateBytes(instrument(module));
  const result = (exports.f as NumberFunction)(value);
  return { result, count: Number((exports[counterExport] as WebAssembly.Global).value) };
}

/** sum += 3 until value is 0: nine instructions a round, and one to return the sum. */
const loop = moduleOf(
  ...[0x03, 0x40, 0x20, 1, 0x41, 3, 0x6a, 0x21, 1],
  ...[0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b, 0x20, 1],
);
/** value ? 1 + 2 : 7. */
const either = moduleOf(0x20, 0, 0x04, 0x7f, 0x41, 1, 0x41, 2, 0x6a, 0x05, 0x41, 7, 0x0b);
/** Leaves the block with 5 where value is not 0; else drops it, and returns 6. */
const leaving = moduleOf(...[0x02, 0x7f, 0x41, 5, 0x20, 0, 0x0d, 0, 0x1a, 0x41, 6, 0x0f, 0x0b]);

suite('counting executed instructions', (test) => {
  test('refuses what it does not know', () => {
    assert.throws(() => instrument(moduleOf(0xff)), /unknown instruction 0xff/);
    assert.throws(() => instrument(loop.subarray(0, loop.length - 3)), /ends too early/);
    const importing = Uint8Array.from([...loop.subarray(0, 8), 2, 1, 0, ...loop.subarray(8)]);
    assert.throws(() => instrument(importing), /imports/);
  });

  test('a loop counts every round', () => {
    for (const rounds of [1, 2, 1000]) {
      assert.equal(executed(loop, rounds), { result: 3 * rounds, count: 9 * rounds + 1 });
    }
  });

  test('only the arm that was taken counts, and only up to a branch', () => {
    assert.equal(executed(either, 1), { result: 3, count: 5 });
    assert.equal(executed(either, 0), { result: 7, count: 3 });
    assert.equal(executed(leaving, 1), { result: 5, count: 3 });
    assert.equal(executed(leaving, 0), { result: 6, count: 6 });
  });

  test('every kernel can be counted, and counting changes no result', () => {
    for (const name of ['batching', 'wire', 'digits']) {
      for (const flavour of ['simd', 'scalar'] as const) instantiateBytes(instrument(readKernel(name, flavour)));
    }
    const counts = [0, 1].map(() => {
      const exports = instantiateBytes(instrument(readKernel('wire', 'simd')));
      const kernel = new WireKernel(exports);
      for (const text of ['{"instances":[[1.5,2],[3,"é"]]}', '{"instances":[1,2', '[]', '01']) {
        assert.equal(
          kernel.measure('v1', Buffer.from(text), false),
          new WireKernel('simd').measure('v1', Buffer.from(text), false),
        );
      }
      return (exports[counterExport] as WebAssembly.Global).value;
    });
    assert.ok((counts[0] as bigint) > 500n);
    assert.is(counts[0], counts[1]);
  });
});

suite('cost against its baseline', (test) => {
  test('more than a tenth above fails, and so does a scenario that only one side knows', () => {
    for (const [now, baseline, failed] of [
      [{ a: 111 }, { a: 100 }, true],
      [{ a: 100, b: 1 }, { a: 100 }, true],
      [{ a: 100 }, { a: 100, b: 1 }, true],
      [{ a: 100 }, {}, true],
      [{ a: 109.9 }, { a: 100 }, false],
      [{ a: 50 }, { a: 100 }, false],
      [{ a: 100 }, { a: 100 }, false],
    ] as const) {
      assert.is(compareCosts(now, baseline).failed, failed, JSON.stringify([now, baseline]));
    }
  });

  test('says by how much, upwards and downwards', () => {
    assert.match(compareCosts({ a: 120 }, { a: 100 }).lines[0] as string, /100\.0 -> +120\.0 \+20\.0 % {2}REGRESSION/);
    assert.match(compareCosts({ a: 80 }, { a: 100 }).lines[0] as string, /-20\.0 % {2}better/);
  });
});
