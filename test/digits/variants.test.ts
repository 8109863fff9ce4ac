import * as assert from 'uvu/assert';
import { readDigits } from '../../scripts/mnist-digits.ts';
import { readSamples } from '../../src/digits/samples.ts';
import {
  best,
  DigitModel,
  decodeReadout,
  encodeReadout,
  readManifest,
  variantNames,
} from '../../src/digits/variants.ts';
import { DigitsKernel, digitPixels, Variant } from '../../src/kernels/digits.ts';
import { suite } from '../support/suite.ts';

const { heldOut } = readDigits();
const total = heldOut.labels.length;

function images(from: number, to: number): Float32Array {
  return heldOut.images.subarray(from * digitPixels, to * digitPixels);
}

suite('digits: variants', (test) => {
  test('no images, and more than fit, are refused instead of read beside the input', () => {
    const kernel = new DigitsKernel();
    assert.throws(() => kernel.classify(Variant.Linear, images(0, 0)));
    assert.throws(() => kernel.classify(Variant.Linear, images(0, kernel.batchMax + 1)), /1 to 64 images/);
    assert.throws(() => kernel.extract(Variant.Linear, images(0, kernel.extractMax + 1)));
    assert.throws(() => kernel.classify(9 as Variant, images(0, 1)));
    assert.throws(() => kernel.classify(Variant.Linear, heldOut.images.subarray(0, 100)));
  });

  test('a readout survives its file within half a step of its scale', () => {
    const bias = Float32Array.from({ length: 10 }, (_, c) => c - 4.5);
    const weights = Float32Array.from({ length: 70 }, (_, i) => Math.sin(i));
    const read = decodeReadout(encodeReadout(bias, weights));
    assert.equal([...read.bias], [...bias]);
    for (const [i, weight] of weights.entries()) assert.ok(Math.abs((read.weights[i] as number) - weight) <= 0.5 / 127);
  });

  test('the manifest names every variant that is served', () => {
    const listed = readManifest().map(({ name, variant }) => [name, variant]);
    assert.equal(
      Object.entries(variantNames).filter(([name]) => name !== 'digits'),
      listed,
    );
  });

  for (const info of readManifest()) {
    test(`${info.name} reads ${info.accuracy} % of the held-out digits`, () => {
      const model = new DigitModel();
      let right = 0;
      for (let from = 0; from < total; from += model.batchMax) {
        const answers = model.classify(info.variant, images(from, Math.min(total, from + model.batchMax)));
        for (const [i, digit] of answers.entries()) if (digit === heldOut.labels[from + i]) right++;
      }
      assert.is(Math.round((10_000 * right) / total) / 100, info.accuracy);
    });
  }

  test('all builds give the same bits, in a batch and alone', () => {
    const [simd, scalar, debug] = [new DigitModel('simd'), new DigitModel('scalar'), new DigitModel('debug')];
    // Seven images: a group of four, which has a loop of its own, and three that are left over.
    for (const { name, variant } of readManifest()) {
      const batch = simd.scores(variant, images(0, 7));
      assert.equal(scalar.scores(variant, images(0, 7)), batch, name);
      assert.equal(debug.scores(variant, images(0, 7)), batch, name);
      for (let i = 0; i < 7; i++) {
        assert.equal(simd.scores(variant, images(i, i + 1)), batch.slice(i * 10, (i + 1) * 10), `${name}, image ${i}`);
      }
    }
  });

  test('the builds agree about a share of every class', () => {
    const [simd, scalar, debug] = [new DigitModel('simd'), new DigitModel('scalar'), new DigitModel('debug')];
    for (const { name, variant } of readManifest()) {
      for (let from = 0; from + 8 <= total; from += 97) {
        const expected = simd.classify(variant, images(from, from + 8));
        assert.equal(scalar.classify(variant, images(from, from + 8)), expected, name);
        assert.equal(debug.classify(variant, images(from, from + 8)), expected, name);
      }
    }
  });

  test('the samples that ship are held-out digits with their labels', () => {
    const known = new Map<string, number>();
    for (let i = 0; i < total; i++) {
      known.set([...images(i, i + 1)].map((value) => Math.round(value * 255)).join(), heldOut.labels[i] as number);
    }
    const samples = readSamples();
    assert.is(samples.length, 200);
    for (const { pixels, label } of samples) assert.is(known.get([...pixels].join()), label);
  });

  test('the best class of equal scores is the first', () => {
    assert.is(best(Float32Array.of(0, 3, 3, 1, 0, 0, 0, 0, 0, 0)), 1);
  });
});
