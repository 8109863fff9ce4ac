import type { Rate } from '../../src/policy/rates.ts';
import type { Run } from '../k6-run.ts';
import type { ReplicaSample, ReplicaUse, ReplicaWatch } from '../replicas.ts';
import { quantileOf, type Tally } from '../series.ts';
import type { LoadSettings } from '../settings.ts';

/** Everything that a run showed, as JSON. Times in ms or s as their names say. */
export interface Report {
  readonly scenario: string;
  readonly startedAt: string;
  readonly sloMs: number;
  readonly quantile: number;
  readonly passed: boolean;
  readonly thresholds: readonly { readonly series: string; readonly condition: string; readonly held: boolean }[];
  readonly currency: string | null;
  readonly sides: readonly SideReport[];
}

export interface SideReport {
  readonly name: string;
  readonly url: string;
  readonly host: string | null;
  readonly whole: Tally;
  readonly phases: readonly {
    name: string;
    rate: number;
    asked: number | null;
    tally: Tally;
    replicaSeconds: number | null;
  }[];
  readonly replicas: (ReplicaUse & { readonly cost: number | null }) | null;
  readonly seconds: readonly SecondReport[];
}

/** One second of a side. */
export interface SecondReport {
  readonly second: number;
  readonly due: number;
  readonly good: number;
  readonly failed: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  readonly ready: number | null;
  readonly starting: number | null;
}

/** Puts together what k6 measured and what was counted in the cluster. */
export function makeReport(settings: LoadSettings, run: Run, watches: ReadonlyMap<string, ReplicaWatch>): Report {
  const { plan, price } = settings;
  return {
    scenario: plan.scenario,
    startedAt: new Date(run.series.startMs || 0).toISOString(),
    sloMs: plan.sloMs,
    quantile: settings.quantile,
    passed: run.exitCode === 0,
    thresholds: thresholdsOf(run),
    currency: price?.currency ?? null,
    sides: plan.sides.map(({ name, url, host }) => {
      const watch = watches.get(name);
      const startMs = run.series.startMs;
      const seconds = run.series.seconds(name).length;
      let from = 0;
      const phases = run.series.phases(name, plan).map((phase) => {
        const use = watch?.use(startMs + from * 1000, startMs + (from + phase.tally.seconds) * 1000);
        from += phase.tally.seconds;
        return { ...phase, replicaSeconds: use?.replicaSeconds ?? null };
      });
      const use = watch?.use(startMs, startMs + from * 1000);
      return {
        name,
        url,
        host: host ?? null,
        whole: run.series.tally(name, 0, Math.max(from, seconds)),
        phases,
        replicas: use ? { ...use, cost: costOf(use.replicaSeconds, price) } : null,
        seconds: secondsOf(run, name, watch?.stop().samples ?? []),
      };
    }),
  };
}

function costOf(replicaSeconds: number, price: Rate | undefined): number | null {
  return price === undefined ? null : (replicaSeconds / 3600) * price.perHour;
}

function thresholdsOf({ summary }: Run): Report['thresholds'] {
  return Object.entries(summary.metrics).flatMap(([series, { thresholds = {} }]) =>
    Object.entries(thresholds)
      // Of a phase from which nothing is asked.
      .filter(([condition]) => condition !== 'rate>=0')
      .map(([condition, { ok }]) => ({ series, condition, held: ok })),
  );
}

function secondsOf({ series }: Run, side: string, samples: readonly ReplicaSample[]): SecondReport[] {
  let at = 0;
  return series.seconds(side).map((second, index) => {
    const untilMs = series.startMs + (index + 1) * 1000;
    while (at + 1 < samples.length && (samples[at + 1] as ReplicaSample).atMs <= untilMs) at++;
    const sorted = [...second.latencies].sort((a, b) => a - b);
    return {
      second: index,
      due: second.sent + second.unsent,
      good: second.good,
      failed: second.failed + second.refused + second.unsent,
      p50Ms: quantileOf(sorted, 0.5),
      p95Ms: quantileOf(sorted, 0.95),
      p99Ms: quantileOf(sorted, 0.99),
      ready: samples[at]?.ready ?? null,
      starting: samples[at]?.starting ?? null,
    };
  });
}
