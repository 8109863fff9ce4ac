// The part of the WebAssembly API that the kernels need: neither @types/node nor the ES library declares it.
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module, imports: Record<string, never>);
    readonly exports: Exports;
  }
  class Memory {
    readonly buffer: ArrayBuffer;
  }
  class Global {
    readonly value: number | bigint;
  }
  class CompileError extends Error {}
  class RuntimeError extends Error {}
  type ExportValue = Memory | Global | ((...args: number[]) => number);
  type Exports = Record<string, ExportValue | undefined>;
}
