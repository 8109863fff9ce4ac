/** What every target of the fuzzer is told. */
export interface FuzzSettings {
  readonly runs: number;
  /** It ends after this time though not all is done; infinite where nobody said so. */
  readonly seconds: number;
  readonly seed: number;
  /** What is shown while it runs. */
  progress(line: () => string): void;
}

/** What came of it. */
export interface FuzzResult {
  readonly name: string;
  /** How much was tried. */
  readonly runs: number;
  /** What must not be. */
  readonly findings: readonly string[];
  readonly figures: readonly (readonly [string, number | string])[];
}
