import type { Parameters } from 'fast-check';

/**
 * How often a property is tried. `PROPERTY_RUNS=20` tries twenty times as often, from another seed each time; a failure
 * prints its seed and path, and `PROPERTY_SEED` repeats it.
 */
export function propertyRuns(runs: number, seed: number): Parameters<unknown> {
  const times = Number(process.env.PROPERTY_RUNS ?? 1);
  const given = process.env.PROPERTY_SEED;
  return {
    includeErrorInReport: true,
    numRuns: Math.ceil(runs * times),
    seed: given !== undefined ? Number(given) : times > 1 ? Date.now() & 0x7fffffff : seed,
  };
}
