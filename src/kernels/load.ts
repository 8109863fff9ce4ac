import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Builds of a kernel: `simd` is the one that ships, `scalar` runs where SIMD is missing, `debug` checks bounds. */
export type KernelFlavour = 'simd' | 'scalar' | 'debug';

const modules = new Map<string, WebAssembly.Module>();

/**
 * Compiles a kernel once and makes a new instance of it. Kernels have no imports.
 *
 * Without a flavour it tries the SIMD build and falls back to the scalar one, which decides the same.
 *
 * @throws {Error} if the file is missing (run `npm run build`) or no build of it compiles here.
 */
export function instantiateKernel(name: string, flavour?: KernelFlavour): WebAssembly.Exports {
  if (flavour) return new WebAssembly.Instance(compile(name, flavour), {}).exports;
  try {
    return instantiateKernel(name, 'simd');
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return instantiateKernel(name, 'scalar');
    throw error;
  }
}

function compile(name: string, flavour: KernelFlavour): WebAssembly.Module {
  const file = `${name}.${flavour}.wasm`;
  let module = modules.get(file);
  if (!module) {
    module = new WebAssembly.Module(readFileSync(locate(file)));
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
