import type { SimulatedRequest } from '../run.ts';

/**
 * The most requests that any schedule answers in time on one serial model that takes `meanMs(n)` for at most `maxItems`:
 * the best earliest-deadline-first schedule with dropping, made by someone who knows all arrivals beforehand.
 *
 * Needs deadlines in the order of arrivals. Then batches of neighbours are enough (in a batch with a gap, the dropped
 * request can take the place of the first one, which only moves the batch's deadline back), and
 *
 *   end[d][i] = least time at which the first i requests are done with, d of them dropped
 *             = min( end[d-1][i-1],                                             drop request i
 *                    min over n of max(end[d][i-n], arrival of i) + meanMs(n)   serve the last n as one batch,
 *                      where that is not after the deadline of the first )
 *
 * The answer is the least d for which end[d][all] is finite. Steps: requests x maxItems x drops.
 */
export function clairvoyantGoodput(
  workload: readonly SimulatedRequest[],
  maxItems: number,
  meanMs: (items: number) => number,
): number {
  const count = workload.length;
  const arrival = Float64Array.from(workload, (request) => request.at);
  const deadline = Float64Array.from(workload, (request) => request.at + request.sloMs);
  for (let i = 1; i < count; i++) {
    if ((deadline[i] as number) < (deadline[i - 1] as number)) throw new RangeError('deadlines must follow arrivals');
  }
  const times = Float64Array.from({ length: maxItems + 1 }, (_, n) => (n === 0 ? 0 : meanMs(n)));
  const never = Number.POSITIVE_INFINITY;
  let previous = new Float64Array(count + 1).fill(never);
  let current = new Float64Array(count + 1).fill(never);
  // Where dropping one more changed nothing up to here, the next layer need not look before it.
  let first = 0;
  for (let dropped = 0; dropped <= count; dropped++) {
    current.set(previous.subarray(0, first));
    let changedAt = count + 1;
    for (let i = first; i <= count; i++) {
      let best = i === 0 ? (dropped === 0 ? Number.NEGATIVE_INFINITY : never) : never;
      if (i > 0 && dropped > 0) best = previous[i - 1] as number;
      for (let n = 1; n <= maxItems && n <= i; n++) {
        const free = current[i - n] as number;
        if (free === never) continue;
        const end = Math.max(free, arrival[i - 1] as number) + (times[n] as number);
        if (end < best && end <= (deadline[i - n] as number)) best = end;
      }
      if (dropped > 0 && (previous[i] as number) < best) best = previous[i] as number;
      current[i] = best;
      if (changedAt > count && best !== previous[i]) changedAt = i;
    }
    if ((current[count] as number) < never) return (count - dropped) / Math.max(count, 1);
    first = Math.max(first, dropped === 0 ? 0 : changedAt);
    [previous, current] = [current, previous];
  }
  return 0;
}
