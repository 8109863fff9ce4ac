import { Command } from 'commander';
import { readSamples } from '../digits/samples.ts';
import { best, DigitModel, readManifest, type VariantInfo } from '../digits/variants.ts';
import { digitClasses, digitPixels } from '../kernels/digits.ts';
import { parseWhole } from '../policy/units.ts';
import { argument } from './arguments.ts';

const rounds = 9;

/** `paceline variants`: what each variant of the embedded model knows, costs, and gains by batching. */
export function variantsCommand(): Command {
  return new Command('variants')
    .description('print the accuracy and the cost of each variant of the embedded model, alone and in a batch')
    .option(
      '--batch <images>',
      'images of the batch',
      argument((text) => parseWhole(text, 2, 64)),
      16,
    )
    .action(runVariants);
}

function runVariants({ batch }: { batch: number }): void {
  const model = new DigitModel();
  const samples = readSamples();
  const images = Float32Array.from(
    samples.flatMap(({ pixels }) => [...pixels]),
    (value) => value / 255,
  );
  console.log(`accuracy: of the digits held out in training, and of the ${samples.length} of them that ship`);
  console.log(
    `model                held out   shipped      1 image   ${String(batch).padStart(2)} images   batch / singles`,
  );
  for (const info of readManifest())
    console.log(
      rowOf(
        model,
        info,
        images,
        samples.map(({ label }) => label),
        batch,
      ),
    );
  console.log(`Times are medians of ${rounds}. 1.00: a batch gains nothing.`);
}

function rowOf(model: DigitModel, info: VariantInfo, images: Float32Array, labels: number[], batch: number): string {
  const part = (from: number, count: number) => images.subarray(from * digitPixels, (from + count) * digitPixels);
  const right = labels.filter(
    (label, i) => best(model.scores(info.variant, part(i, 1)).subarray(0, digitClasses)) === label,
  );
  const singles = medianMs(() => {
    for (let i = 0; i < batch; i++) model.scores(info.variant, part(i, 1));
  });
  const together = medianMs(() => model.scores(info.variant, part(0, batch)));
  return [
    info.name.padEnd(18),
    `${info.accuracy.toFixed(2)} %`.padStart(10),
    `${((100 * right.length) / labels.length).toFixed(1)} %`.padStart(9),
    `${(singles / batch).toFixed(3)} ms`.padStart(12),
    `${together.toFixed(3)} ms`.padStart(11),
    (together / singles).toFixed(2).padStart(17),
  ].join(' ');
}

function medianMs(run: () => void): number {
  const times = Array.from({ length: rounds }, () => {
    const started = performance.now();
    run();
    return performance.now() - started;
  });
  return times.sort((one, other) => one - other)[rounds >> 1] as number;
}
