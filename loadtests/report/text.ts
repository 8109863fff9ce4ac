import type { Report } from './report.ts';

/** The report in a terminal: a table of phases for each side, and what did not hold. */
export function textReport(report: Report): string {
  const lines = [`${report.scenario}: SLO ${report.sloMs} ms at ${percent(report.quantile)}`];
  for (const side of report.sides) {
    lines.push('', report.sides.length > 1 ? `${side.name} (${side.host ?? side.url})` : `${side.host ?? side.url}`);
    lines.push('  phase         rate/s   within SLO    good/s     P50     P95     P99  failed  replica-s');
    for (const { name, rate, asked, tally, replicaSeconds } of side.phases) {
      const share = `${percent(tally.attainment)}${asked === null || side !== report.sides[0] ? '' : tally.attainment >= asked ? ' ok' : ' MISS'}`;
      const cells = [
        `${Math.round(rate)}`.padStart(8),
        share.padStart(13),
        tally.goodput.toFixed(1).padStart(10),
        ...[tally.p50Ms, tally.p95Ms, tally.p99Ms].map((ms) => (ms === null ? '-' : ms.toFixed(0)).padStart(8)),
        `${tally.failed + tally.refused + tally.unsent}`.padStart(8),
        (replicaSeconds === null ? '-' : replicaSeconds.toFixed(0)).padStart(11),
      ];
      lines.push(`  ${name.padEnd(12)}${cells.join('')}`);
    }
    if (side.replicas) {
      const { replicaSeconds, most, cost, coldStartsMs } = side.replicas;
      const price = cost === null ? '' : `, ${cost.toFixed(4)} ${report.currency ?? ''}`.trimEnd();
      lines.push(
        `  ${replicaSeconds.toFixed(0)} replica-seconds, at most ${most} replicas${price}; ${startsText(coldStartsMs)}`,
      );
    }
  }
  const missed = report.thresholds.filter(({ held }) => !held);
  lines.push('', missed.length === 0 ? 'every threshold held' : 'did not hold:');
  for (const { series, condition } of missed) lines.push(`  ${series}  ${condition}`);
  return lines.join('\n');
}

/** A share as a percentage that never rounds up to what was not reached. */
export function percent(share: number): string {
  return `${(Math.floor(share * 1000 + 1e-6) / 10).toFixed(1)} %`;
}

function startsText(sortedMs: readonly number[]): string {
  if (sortedMs.length === 0) return 'no pod started';
  const middle = sortedMs[Math.floor(sortedMs.length / 2)] as number;
  const last = sortedMs[sortedMs.length - 1] as number;
  return `${sortedMs.length} pods started, ${(middle / 1000).toFixed(1)} s the middle one, ${(last / 1000).toFixed(1)} s the slowest`;
}
