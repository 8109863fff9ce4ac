// What a benchmark module returns. bench/run.ts calls each module's `run` and writes docs/benchmarks.md.

/** One figure. */
export interface BenchRow {
  name: string;
  value: number;
  unit: string;
  /** What must hold, in words, where something must. */
  bar?: string;
  /** Whether it does. */
  holds?: boolean;
}

/** The figures of one benchmark, measured in one process. */
export interface BenchReport {
  name: string;
  title: string;
  rows: BenchRow[];
  notes?: string[];
}
