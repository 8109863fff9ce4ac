import { type Test, suite as uvuSuite } from 'uvu';

/**
 * A suite of tests. Every test file uses this instead of uvu's own `suite`, so that a suite cannot be forgotten: it
 * runs by itself once the file has been read.
 */
export function suite(name: string, define: (test: Test) => void): void {
  const test = uvuSuite(name);
  define(test);
  test.run();
}
