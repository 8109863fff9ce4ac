import type { CompanionSignals, LatencySample } from '../signals/parse-signals.ts';
import { isStarved } from '../signals/starved.ts';
import type { HeardFrom } from './problem.ts';

/** A companion that has seen less than this share of what the busiest one saw mostly repeats what it assumed at its start. */
const experienced = 0.25;
/** And so does one that has sent fewer batches than this. */
const trustedBatches = 20;
/** Nodes of one type that have to agree before they count as slower than others: one alone may only be crowded. */
const agreeing = 2;

/** The curve of a revision, and whether a companion stands behind it that has seen enough of the model. */
export interface CredibleCurve {
  readonly latencyMs: readonly LatencySample[];
  readonly trusted: boolean;
}

interface Measured {
  readonly node: string;
  readonly type: string;
  readonly signals: CompanionSignals;
}

/**
 * One latency curve for each revision, out of what its companions learned: of each size the median over the pods, the
 * faster one of two. One pod on a crowded node then does not make a model slow that is fast everywhere else, and what
 * a companion measured while it was starved itself does not count at all, nor what a fresh one assumes where another has
 * measured. Revisions of which nothing credible was heard are left out: what was known of them before stays.
 *
 * Where nodes of several types serve, the slowest type counts: requests are spread evenly over replicas, so that each
 * gets what the slowest can do within the objective. A type counts once several of its nodes were measured.
 *
 * @param typeOf the instance type of a node, or anything else by which nodes are alike
 */
export function credibleCurves(
  heard: readonly HeardFrom[],
  sloMs: number,
  typeOf: (node: string | undefined) => string,
): Map<string, CredibleCurve> {
  const byRevision = new Map<string, Measured[]>();
  for (const { pod, report } of heard) {
    if (!report || pod.ending || report.signals.latencyMs.length === 0) continue;
    if (isStarved(report.signals, sloMs)) continue;
    put(byRevision, pod.revision, { node: pod.node ?? '', type: typeOf(pod.node), signals: report.signals });
  }
  return new Map(
    [...byRevision].map(([revision, measured]) => {
      const trusted = measured.filter(({ signals: { totals } }) => !totals || totals.batches >= trustedBatches);
      const latencyMs = slowestCurve(trusted.length > 0 ? trusted : measured);
      return [revision, { latencyMs, trusted: trusted.length > 0 }];
    }),
  );
}

function slowestCurve(all: readonly Measured[]): LatencySample[] {
  const seen = ({ signals }: Measured) => signals.totals?.requests ?? signals.requests;
  const most = Math.max(...all.map(seen));
  const measured = all.filter((each) => seen(each) >= experienced * most);
  const byType = new Map<string, Measured[]>();
  for (const each of measured) put(byType, each.type, each);
  const types = [...byType.values()].filter((each) => new Set(each.map(({ node }) => node)).size >= agreeing);
  const slowest = new Map(medianCurve(measured).map((point) => [point.items, point]));
  for (const { items, expected, quantile } of types.flatMap(medianCurve)) {
    const known = slowest.get(items);
    slowest.set(items, {
      items,
      expected: Math.max(expected, known?.expected ?? 0),
      quantile: Math.max(quantile, known?.quantile ?? 0),
    });
  }
  return [...slowest.values()];
}

/** Of each size the median, sizes in order. */
function medianCurve(measured: readonly Measured[]): LatencySample[] {
  const bySize = new Map<number, LatencySample[]>();
  for (const { signals } of measured) for (const point of signals.latencyMs) put(bySize, point.items, point);
  return [...bySize]
    .sort(([one], [other]) => one - other)
    .map(([items, points]) => ({
      items,
      expected: lowerMedian(points.map(({ expected }) => expected)),
      quantile: lowerMedian(points.map(({ quantile }) => quantile)),
    }));
}

function put<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const known = map.get(key);
  if (known) known.push(value);
  else map.set(key, [value]);
}

function lowerMedian(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[(values.length - 1) >> 1] as number;
}
