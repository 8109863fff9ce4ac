import type { Report, SideReport } from '../../../loadtests/report/report.ts';
import { model, sloMs, type Way } from './ways.ts';

export interface Outcome {
  readonly way: Way;
  readonly report: Report;
}

/** One bar: what is asked, what was measured, and whether it held. */
export interface Bar {
  readonly asked: string;
  readonly measured: string;
  readonly held: boolean;
}

/**
 * Requests a second that one ready pod can answer within the objective: while a batch of n runs the next n arrive, so that
 * the last of them is answered two batches after it came. n is the most for which two batches fit.
 */
export function capacityOfPod(): number {
  const items = Math.floor((sloMs / 2 - model.BASE_MS) / model.SLOPE_MS);
  return items / ((model.BASE_MS + items * model.SLOPE_MS) / 1000);
}

/** Good answers of the first seconds after the step, over what the pods that were ready then can serve. */
export function shareOfCapacity(side: SideReport, from: number, seconds: number): number {
  let served = 0;
  let possible = 0;
  for (const { due, good, ready } of side.seconds.slice(from, from + seconds)) {
    served += good;
    possible += Math.min(due, (ready ?? 0) * capacityOfPod());
  }
  return possible === 0 ? 0 : served / possible;
}

/** What is asked of Paceline beside its rivals, in one run. */
export function judge(outcomes: readonly Outcome[]): Bar[] {
  const [own, ...rivals] = outcomes;
  const side = own?.report.sides[0];
  if (!own || !side) throw new Error('nothing was measured');
  const phase = (of: SideReport | undefined, name: string) =>
    of?.phases.find((each) => each.name === name)?.tally.attainment ?? 0;
  const share = (value: number) => `${(Math.floor(value * 10_000) / 100).toFixed(2)} %`;
  const spent = ({ report }: Outcome) => report.sides[0]?.replicas?.replicaSeconds ?? Number.NaN;
  const keeps = (outcome: Outcome) => phase(outcome.report.sides[0], 'after') >= 0.99;
  const begin = side.phases[0]?.tally.seconds ?? 0;
  const early = shareOfCapacity(side, Math.round(begin), 15);
  const bars: Bar[] = [
    atLeast('attainment over the 60 s that begin at the step', phase(side, 'step'), 0.95),
    atLeast('attainment after them', phase(side, 'after'), 0.99),
    atLeast('first 15 s, over what the ready pods can serve', early, 0.97),
  ];
  const cheaper = rivals.filter((rival) => keeps(rival) && spent(rival) < spent(own));
  bars.push({
    asked: 'no rival that keeps 99 % afterwards spends fewer replica-seconds',
    measured:
      cheaper.length === 0
        ? 'none does'
        : cheaper.map((rival) => `${rival.way.name}: ${spent(rival).toFixed(0)}`).join(', '),
    held: cheaper.length === 0,
  });
  const alone = rivals.filter((rival) => !rival.way.batches);
  const single = alone.filter(keeps).map(spent);
  const least = Math.min(...single);
  const after = ({ report }: Outcome) => phase(report.sides[0], 'after');
  const nearest = alone.toSorted((one, other) => after(other) - after(one))[0];
  const nobody = nearest
    ? `none keeps it; ${nearest.way.name} comes nearest: ${share(after(nearest))} with ${spent(nearest).toFixed(0)}, Paceline ${spent(own).toFixed(0)}`
    : 'there is none';
  bars.push({
    asked: 'at most a quarter of the replica-seconds of the cheapest rival without batching that keeps it',
    measured: single.length === 0 ? nobody : `${spent(own).toFixed(0)} of ${least.toFixed(0)}`,
    held: single.length === 0 || spent(own) <= least / 4,
  });
  return bars;

  function atLeast(asked: string, value: number, bar: number): Bar {
    return { asked: `${asked}: at least ${share(bar)}`, measured: share(value), held: value >= bar };
  }
}
