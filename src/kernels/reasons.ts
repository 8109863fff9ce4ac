/** The shared codes of the batching kernel, and their labels for people. */
export { Outcome, Reason, Setting } from '../../assembly/batching/codes.ts';

import { Reason } from '../../assembly/batching/codes.ts';

/** The label of a reason code in metrics, logs and headers: `Reason.QueueFull` is `queue-full`. */
export function reasonLabel(reason: Reason): string {
  return labels[reason] ?? 'unknown';
}

const labels: readonly (string | undefined)[] = Object.entries(Reason).reduce<string[]>((table, [name, code]) => {
  if (typeof code === 'number') table[code] = name.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase();
  return table;
}, []);
