import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** What is used of binaryen, the optimiser that the AssemblyScript compiler brings along. */
interface Binaryen {
  readBinary(bytes: Uint8Array): {
    setFeatures(all: number): void;
    runPasses(names: string[]): void;
    emitBinary(): Uint8Array;
  };
  readonly Features: { readonly All: number };
}

/** A kernel that counts what it executes. */
export interface CountedKernel {
  readonly exports: Record<string, (...args: number[]) => number> & { readonly memory: WebAssembly.Memory };
  /** Loads, stores, entered functions and turns of loops during `run`: the same on every machine and at every load. */
  workOf(run: () => void): number;
}

/** Instantiates the shipped build of a kernel with a counter behind every memory access, function entry and loop turn. */
export async function countedKernel(name: string): Promise<CountedKernel> {
  const compiler = createRequire(new URL('../../node_modules/assemblyscript/package.json', import.meta.url));
  const binaryen: Binaryen = (await import(compiler.resolve('binaryen'))).default;
  const file = fileURLToPath(new URL(`../../dist/wasm/${name}.simd.wasm`, import.meta.url));
  const module = binaryen.readBinary(readFileSync(file));
  module.setFeatures(binaryen.Features.All);
  module.runPasses(['log-execution', 'instrument-memory']);
  let work = 0;
  const hooks: Record<string, (...args: number[]) => number | undefined> = {
    log_execution: () => void work++,
    load_ptr: (_id, _bytes, _offset, address) => {
      work++;
      return address;
    },
    store_ptr: (_id, _bytes, _offset, address) => {
      work++;
      return address;
    },
    memory_grow_pre: (_id, pages) => pages,
    memory_grow_post: (_id, pages) => pages,
  };
  // What is left hands on a value that was read or written.
  const env = new Proxy(hooks, {
    get: (known, hook: string) => known[hook] ?? ((_id: number, value: number) => value),
  });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.emitBinary()), { env } as never);
  return {
    exports: instance.exports as unknown as CountedKernel['exports'],
    workOf: (run) => {
      const before = work;
      run();
      return work - before;
    },
  };
}
