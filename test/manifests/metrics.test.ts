import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { alertsFile } from '../../scripts/manifests/alerts.ts';
import { dashboardFile } from '../../scripts/manifests/dashboard.ts';
import { files } from '../../scripts/manifests/files.ts';
import { companionInstruments, query, scrapeLabels } from '../../scripts/manifests/metric-names.ts';
import { suite } from '../support/suite.ts';

interface RuleFile {
  spec: { groups: { rules: { record?: string; alert?: string; expr: string; labels?: Record<string, string> }[] }[] };
}
interface Dashboard {
  panels: {
    id: number;
    title: string;
    type: string;
    gridPos: { x: number; y: number; w: number; h: number };
    targets?: { expr: string }[];
  }[];
}

const rules = (parse(alertsFile()) as RuleFile).spec.groups.flatMap((group) => group.rules);
const { panels } = JSON.parse(dashboardFile()) as Dashboard;

suite('dashboard and alerts', (test) => {
  test('a metric, a label or a value that no companion exports is refused', () => {
    assert.throws(() => query('rate(paceline_request_total[5m])'), /nothing exports paceline_request_total/);
    assert.throws(() => query('paceline_lanes_bucket'), /nothing exports/);
    assert.throws(() => query('paceline_decisions_total{why="x"}'), /no label why/);
    assert.throws(() => query('paceline_slo_requests_total{hit="true"}'), /no label hit/);
    assert.throws(() => query('paceline_slo_requests_total{met="yes"}'), /never yes/);
    assert.throws(() => query('paceline_requests_total{outcome=~"refused|lost"}'), /never lost/);
  });

  test('they are what is committed', () => {
    for (const [path, text] of Object.entries(files)) {
      const committed = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
      assert.is(committed, text(), `${path} is stale: npm run manifests`);
    }
  });

  test('every counter and histogram of the companion is on the dashboard', () => {
    const text = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join('\n');
    const left = companionInstruments()
      .filter(
        ({ name, type }) => type !== 'gauge' && !text.includes(name) && !/start_time|resends|unsplittable/.test(name),
      )
      .map(({ name }) => name);
    assert.equal(left, []);
  });

  test('panels do not overlap, and each has its own number', () => {
    assert.is(new Set(panels.map(({ id }) => id)).size, panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos } of panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.not.ok(taken.has(`${x},${y}`), title);
          taken.add(`${x},${y}`);
        }
      }
    }
  });

  test('alerts look at recorded series over a long and a short window, and both exist', () => {
    const recorded = new Set(rules.map(({ record }) => record).filter((name) => name !== undefined));
    const burns = rules.filter(({ alert }) => alert === 'PacelineErrorBudgetBurn');
    assert.is(burns.length, 4);
    for (const { expr, labels = {} } of burns) {
      const used = [...expr.matchAll(/paceline:slo_misses[\w:]+/g)].map(([name]) => name);
      assert.ok(recorded.has('paceline:slo_budget:ratio') && expr.includes('paceline:slo_budget:ratio'));
      assert.equal(used, [
        `paceline:slo_misses:ratio_rate${labels.long}`,
        `paceline:slo_misses:ratio_rate${labels.short}`,
      ]);
      for (const name of used) assert.ok(recorded.has(name), name);
    }
  });

  test('the labels that they group by are those of the scrape', () => {
    const monitors = readFileSync(
      new URL('../../manifests/overlays/prometheus/pod-monitors.yaml', import.meta.url),
      'utf8',
    );
    const given = [...monitors.matchAll(/targetLabel: (\w+)/g)].map(([, label]) => label as string);
    // The operator adds these two by itself.
    assert.equal([...new Set(given), 'namespace', 'pod'].sort(), [...scrapeLabels].sort());
  });
});
