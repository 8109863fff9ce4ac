import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Builds of a kernel: `simd` is the one that ships, `scalar` runs where SIMD is missing, `debug` checks bounds. */
export type KernelFlavour = 'simd' | 'scalar' | 'debug';

/** Where a kernel's host gets it from: a build, or an instance that the caller made (one that counts, for instance). */
export type KernelSource = KernelFlavour | WebAssembly.Exports;

const modules = new Map<string, WebAssembly.Module>();

/**
 * Compiles a kernel once and makes a new instance of it. Kernels have no imports. An instance that is given is returned.
 *
 * Without a source it tries the SIMD build and falls back to the scalar one, which decides the same.
 *
 * @throws {Error} if the file is missing (run `npm run build`) or no build of it compiles here.
 */
export function instantiateKernel(name: string, from?: KernelSource): WebAssembly.Exports {
  if (typeof from === 'object') return from;
  if (from) return new WebAssembly.Instance(compile(name, from), {}).exports;
  try {
    return instantiateKernel(name, 'simd');
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return instantiateKernel(name, 'scalar');
    throw error;
  }
}

/** Makes an instance of a kernel whose bytes somebody has changed. */
export function instantiateBytes(bytes: Uint8Array): WebAssembly.Exports {
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), {}).exports;
}

/** The bytes of a build. */
export function readKernel(name: string, flavour: KernelFlavour): Buffer {
  return readFileSync(locate(`${name}.${flavour}.wasm`));
}

function compile(name: string, flavour: KernelFlavour): WebAssembly.Module {
  const file = `${name}.${flavour}.wasm`;
  let module = modules.get(file);
  if (!module) {
    module = new WebAssembly.Module(readKernel(name, flavour));
    modules.set(file, module);
  }
  return module;
}

/** The bundle lies in dist/ or dist/chunks/, the sources in src/kernels/: both know where dist/wasm/ is. */
function locate(file: string): string {
  const here = import.meta.url;
  const base = /\/dist\/chunks\//.test(here) ? '../wasm/' : /\/dist\//.test(here) ? './wasm/' : '../../dist/wasm/';
  return fileURLToPath(new URL(base + file, here));
}
