import type { CompanionSignals, LatencySample } from '../signals/parse-signals.ts';
import { isStarved } from '../signals/starved.ts';
import type { HeardFrom } from './problem.ts';

/** A companion that has seen less than this share of what the busiest one saw mostly repeats what it assumed at its start. */
const experienced = 0.25;

/**
 * One latency curve for each revision, out of what its companions learned: of each size the median over the pods, the
 * faster one of two. One pod on a crowded node then does not make a model slow that is fast everywhere else, and what
 * a companion measured while it was starved itself does not count at all. Revisions of which nothing credible was heard
 * are left out: what was known of them before stays.
 */
export function credibleCurves(heard: readonly HeardFrom[], sloMs: number): Map<string, LatencySample[]> {
  const byRevision = new Map<string, CompanionSignals[]>();
  for (const { pod, report } of heard) {
    if (!report || pod.ending || report.signals.latencyMs.length === 0) continue;
    if (isStarved(report.signals, sloMs)) continue;
    const known = byRevision.get(pod.revision);
    if (known) known.push(report.signals);
    else byRevision.set(pod.revision, [report.signals]);
  }
  return new Map([...byRevision].map(([revision, signals]) => [revision, medianCurve(signals)]));
}

function medianCurve(signals: readonly CompanionSignals[]): LatencySample[] {
  const seen = (each: CompanionSignals) => each.totals?.requests ?? each.requests;
  const most = Math.max(...signals.map(seen));
  const bySize = new Map<number, LatencySample[]>();
  for (const each of signals) {
    if (seen(each) < experienced * most) continue;
    for (const point of each.latencyMs) bySize.set(point.items, [...(bySize.get(point.items) ?? []), point]);
  }
  return [...bySize]
    .sort(([one], [other]) => one - other)
    .map(([items, points]) => ({
      items,
      expected: lowerMedian(points.map(({ expected }) => expected)),
      quantile: lowerMedian(points.map(({ quantile }) => quantile)),
    }));
}

function lowerMedian(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[(values.length - 1) >> 1] as number;
}
