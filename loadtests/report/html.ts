import { chartSvg, escapeHtml, type Line } from './chart.ts';
import type { Report, SideReport } from './report.ts';
import { percent } from './text.ts';

const style = `
:root { color-scheme: light dark; --c1: #2563eb; --c2: #d97706; --c3: #dc2626; --c4: #059669; --c5: #7c3aed; --soft: #8883; --text: #1f2937; --back: #fff; }
@media (prefers-color-scheme: dark) { :root { --c1: #60a5fa; --c2: #fbbf24; --c3: #f87171; --c4: #34d399; --c5: #a78bfa; --text: #e5e7eb; --back: #111827; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .7rem; border-bottom: 1px solid var(--soft); }
th:first-child, td:first-child { text-align: left; }
.scroll { overflow-x: auto; }
figure { margin: 1.2rem 0; } figcaption { font-weight: 600; } figcaption small { font-weight: 400; opacity: .7; }
svg { width: 100%; height: auto; } .grid { stroke: var(--soft); } .axis, .phase { font-size: 11px; fill: currentColor; opacity: .75; }
.band0 { fill: transparent; } .band1 { fill: var(--soft); opacity: .4; }
.line { fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linejoin: round; } .dashed { stroke-dasharray: 4 3; }
.level { stroke: var(--c3); stroke-dasharray: 2 4; color: var(--c3); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); } .c4 { color: var(--c4); } .c5 { color: var(--c5); }
.key { font-weight: 400; font-size: 13px; margin-left: .8rem; } .key::before { content: ''; display: inline-block; width: 1.2em; border-top: 2px solid currentColor; vertical-align: middle; margin-right: .3em; }
.key.dashed::before { border-top-style: dashed; } .key.level::before { border-top-style: dotted; }
.held { color: var(--c4); } .missed { color: var(--c3); font-weight: 600; }
`;

/** The report as one page that needs nothing else. */
export function htmlReport(report: Report): string {
  const { sides, sloMs } = report;
  const [first] = sides;
  let from = 0;
  const bands = (first?.phases ?? []).map(({ name, tally }) => {
    const band = { name, from, to: from + tally.seconds };
    from = band.to;
    return band;
  });
  const charts = [
    chartSvg({
      title: 'Requests',
      unit: 'per second, by when they were due',
      bands,
      lines: [
        line('due', first, 'due', 2, true),
        ...each(sides, (side, at) => line(named(sides, side, 'within SLO'), side, 'good', colourOf(at))),
      ],
    }),
    ...sides.map((side) =>
      chartSvg({
        title: sides.length > 1 ? `Latency of ${side.name}` : 'Latency',
        unit: 'ms, by when they were sent',
        bands,
        level: { label: `SLO ${sloMs} ms`, value: sloMs },
        lines: [line('P50', side, 'p50Ms', 4), line('P95', side, 'p95Ms', 2), line('P99', side, 'p99Ms', 1)],
      }),
    ),
  ];
  const counted = sides.filter(({ replicas }) => replicas !== null);
  if (counted.length > 0) {
    const lines = counted.flatMap((side, at) => [
      line(named(sides, side, 'ready'), side, 'ready', colourOf(at)),
      line(named(sides, side, 'starting'), side, 'starting', colourOf(at), true),
    ]);
    charts.push(chartSvg({ title: 'Replicas', unit: 'pods', bands, lines }));
  }
  return pageOf(
    `${report.scenario}: load test`,
    `
<h1>Load test: ${escapeHtml(report.scenario)}</h1>
<p>SLO ${sloMs} ms at ${percent(report.quantile)}, begun ${escapeHtml(report.startedAt)}. ${report.passed ? '<span class="held">Every threshold held.</span>' : '<span class="missed">Not every threshold held.</span>'}</p>
${sides.map((side) => sideTable(report, side)).join('\n')}
${charts.join('\n')}
<h2>Thresholds</h2>
<div class="scroll"><table><tr><th>series</th><th>condition</th><th></th></tr>${report.thresholds.map(thresholdRow).join('')}</table></div>`,
  );
}

/** A page with the report's style, in light or dark as its reader likes. */
export function pageOf(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(title)}</title><style>${style}</style></head>
<body>${body}
</body></html>
`;
}

function thresholdRow({ series, condition, held }: Report['thresholds'][number]): string {
  const verdict = held ? 'held' : 'missed';
  return `<tr><td>${escapeHtml(series)}</td><td>${escapeHtml(condition)}</td><td class="${verdict}">${verdict}</td></tr>`;
}

function sideTable(report: Report, side: SideReport): string {
  const rows = [
    ...side.phases,
    {
      name: 'whole run',
      rate: null,
      asked: null,
      tally: side.whole,
      replicaSeconds: side.replicas?.replicaSeconds ?? null,
    },
  ];
  const judged = side === report.sides[0];
  const cells = rows.map(({ name, rate, asked, tally, replicaSeconds }) => {
    const mark = asked === null || !judged ? '' : tally.attainment >= asked ? ' class="held"' : ' class="missed"';
    const values = [
      `<td>${escapeHtml(name)}</td><td>${rate === null ? '' : Math.round(rate)}</td><td${mark}>${percent(tally.attainment)}</td>`,
      ...[
        tally.goodput.toFixed(1),
        ms(tally.p50Ms),
        ms(tally.p95Ms),
        ms(tally.p99Ms),
        tally.late,
        tally.refused,
        tally.failed,
        tally.unsent,
      ].map((value) => `<td>${value}</td>`),
      `<td>${replicaSeconds === null ? '' : replicaSeconds.toFixed(0)}</td>`,
    ];
    return `<tr>${values.join('')}</tr>`;
  });
  const head = [
    'phase',
    'rate/s',
    'within SLO',
    'good/s',
    'P50',
    'P95',
    'P99',
    'late',
    'refused',
    'failed',
    'unsent',
    'replica-s',
  ];
  const cost = side.replicas?.cost;
  const money =
    cost === null || cost === undefined ? '' : `<p>Cost: ${cost.toFixed(4)} ${escapeHtml(report.currency ?? '')}</p>`;
  return `<h2>${escapeHtml(side.name)}</h2><p>${escapeHtml(side.host ?? side.url)}</p><div class="scroll"><table><tr>${head.map((each) => `<th>${each}</th>`).join('')}</tr>${cells.join('')}</table></div>${money}`;
}

function line(
  label: string,
  side: SideReport | undefined,
  key: 'due' | 'good' | 'p50Ms' | 'p95Ms' | 'p99Ms' | 'ready' | 'starting',
  colour: number,
  dashed = false,
): Line {
  return { label, values: (side?.seconds ?? []).map((second) => second[key]), colour, dashed };
}

function each<T>(sides: readonly SideReport[], make: (side: SideReport, at: number) => T): T[] {
  return sides.map(make);
}

function named(sides: readonly SideReport[], side: SideReport, what: string): string {
  return sides.length > 1 ? `${side.name}: ${what}` : what;
}

function colourOf(side: number): number {
  return side === 0 ? 1 : 3;
}

function ms(value: number | null): string {
  return value === null ? '' : value.toFixed(0);
}
