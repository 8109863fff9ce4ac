import { Guard } from '../../src/companion/guard.ts';
import type { Log } from '../../src/telemetry/log.ts';

/** A guard of what a test runs, and what it has caught: where nothing is to fail, that is nothing. */
export function strictGuard(): { readonly guard: Guard; readonly caught: readonly string[] } {
  const caught: string[] = [];
  const log: Log = {
    info: () => {},
    warn: () => {},
    // Not each one is logged.
    error: (fields) => {
      caught[caught.length - 1] = String((fields as { detail?: unknown }).detail);
    },
  };
  return { guard: new Guard(log, () => caught.push('one more')), caught };
}
