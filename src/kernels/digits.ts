import { Abi, Variant } from '../../assembly/digits/codes.ts';
import { instantiateKernel, type KernelFlavour } from './load.ts';

export { Variant };

type KernelFunction = (...args: number[]) => number;

interface DigitsExports {
  memory: WebAssembly.Memory;
  abi_version: KernelFunction;
  batch_max: KernelFunction;
  features_batch_max: KernelFunction;
  input_at: KernelFunction;
  logits_at: KernelFunction;
  features_at: KernelFunction;
  feature_count: KernelFunction;
  readout_at: KernelFunction;
  classify: KernelFunction;
  extract: KernelFunction;
}

export const digitPixels = 784;
export const digitClasses = 10;

/** One instance of digits.wasm. Images are 784 values of 0 to 1; at most `batchMax` of them a call. */
export class DigitsKernel {
  readonly batchMax: number;
  readonly extractMax: number;
  readonly #kernel: DigitsExports;

  /** @throws {Error} if the kernel's boundary is of another version than this host's. */
  constructor(flavour?: KernelFlavour) {
    this.#kernel = instantiateKernel('digits', flavour) as unknown as DigitsExports;
    if (this.#kernel.abi_version() !== Abi.Version) {
      throw new Error('digits.wasm does not fit this program: run `npm run build` so that both are of one version');
    }
    this.batchMax = this.#kernel.batch_max();
    this.extractMax = this.#kernel.features_batch_max();
  }

  featureCount(variant: Variant): number {
    return this.#kernel.feature_count(variant);
  }

  /** Bias [10] and weights [features][10] of a variant's readout. */
  setReadout(variant: Variant, bias: Float32Array, weights: Float32Array): void {
    const at = this.#kernel.readout_at(variant) >>> 2;
    this.#floats().set(bias, at);
    this.#floats().set(weights, at + digitClasses);
  }

  /** Logits [images][10]. */
  classify(variant: Variant, images: Float32Array): Float32Array {
    const count = this.#write(images, this.batchMax);
    this.#kernel.classify(variant, count);
    const at = this.#kernel.logits_at() >>> 2;
    return this.#floats().slice(at, at + count * digitClasses);
  }

  /** Features [images][featureCount], for training; at most `extractMax` images. */
  extract(variant: Variant, images: Float32Array): Float32Array {
    const count = this.#write(images, this.extractMax);
    this.#kernel.extract(variant, count);
    const at = this.#kernel.features_at() >>> 2;
    return this.#floats().slice(at, at + count * this.featureCount(variant));
  }

  /** @throws {RangeError} before anything is written: what lies behind the input is the weights. */
  #write(images: Float32Array, max: number): number {
    const count = images.length / digitPixels;
    if (!(Number.isInteger(count) && count >= 1 && count <= max)) {
      throw new RangeError(`a call holds 1 to ${max} images of ${digitPixels} values, not ${images.length} values`);
    }
    this.#floats().set(images, this.#kernel.input_at() >>> 2);
    return count;
  }

  #floats(): Float32Array {
    return new Float32Array(this.#kernel.memory.buffer);
  }
}
