import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { builtK6, findK6 } from '../../loadtests/k6-binary.ts';
import type { Report } from '../../loadtests/report/report.ts';
import { startRig } from '../support/companion.ts';
import { ModelServer } from '../support/model-server.ts';
import { suite } from '../support/suite.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const noK6 = await findK6().then(
  () => undefined,
  (error: Error) => error.message,
);

/** Runs beside this process, whose servers it asks. */
function startBeside(...args: string[]): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'loadtests/run.ts', ...args], { cwd: root });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.on('close', (status) => resolve({ status, output }));
  });
}

suite('npm run loadtest with k6', (test) => {
  if (noK6 !== undefined) console.log(`skip test/loadtests/run.test.ts: ${noK6}`);
  const check = noK6 === undefined ? test : test.skip;
  const scratch = mkdtempSync(join(tmpdir(), 'paceline-load-test-'));
  const body = join(scratch, 'body.json');
  writeFileSync(
    body,
    JSON.stringify({
      instances: [
        [1, 2],
        [3, 4],
      ],
    }),
  );
  const reportIn = (folder: string) => JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8')) as Report;
  test.after(() => rmSync(scratch, { recursive: true, force: true }));

  check('an address that does not answer, or answers something else, is said at once', async () => {
    const { status, output } = await startBeside('steady', '--target', 'http://127.0.0.1:9');
    assert.is(status, 1);
    assert.match(output, /does not answer .*is --target right/);
  });

  check('through a companion every request is counted once, and what is within the SLO is good', async () => {
    const rig = await startRig({ slo: '2s' });
    try {
      const out = join(scratch, 'companion');
      const target = `http://127.0.0.1:${rig.port}`;
      const { status, output } = await startBeside(
        'steady',
        '--target',
        target,
        '--path',
        '/v1/models/m:predict',
        '--body',
        body,
        '--slo',
        '2s',
        '--rate',
        '50',
        '--duration',
        '4s',
        '--out',
        out,
        '--price',
        '0.40/h',
      );
      assert.is(status, 0, output);
      assert.match(output, /every threshold held/);
      assert.ok(existsSync(join(out, 'report.html')));
      const { sides, passed } = reportIn(out);
      const whole = sides[0]?.whole;
      assert.is(passed, true);
      // 200 are due; k6 takes a moment to begin where the machine is busy.
      assert.ok(whole && whole.requests >= 185 && whole.requests <= 204, `${whole?.requests} requests`);
      assert.is(whole.good, whole.requests);
      const seen = rig.model.calls.reduce((sum, { items }) => sum + items.length, 0);
      // The probe before the run is one more.
      assert.is(seen, 2 * (whole.requests - whole.unsent + 1));
    } finally {
      await rig.stop();
    }
  });

  check('late, wrong, refused and failed answers are told apart, and end with 99', async () => {
    const model = new ModelServer();
    const port = await model.start();
    // After the probe: right, too slow, refused, broken, too few predictions.
    model.behave = (_, number) => (['ok', 'ok', 429, 500, 'few'] as const)[number % 5] as never;
    model.timeMs = () => (model.calls.length % 5 === 2 ? 300 : 1);
    try {
      const out = join(scratch, 'failures');
      const { status } = await startBeside(
        'canary',
        '--target',
        `http://127.0.0.1:${port}`,
        '--path',
        '/v1/models/m:predict',
        '--body',
        body,
        '--slo',
        '200ms',
        '--rate',
        '20',
        '--duration',
        '3s',
        '--out',
        out,
      );
      assert.is(status, 99);
      const { sides, thresholds } = reportIn(out);
      const whole = sides[0]?.whole;
      for (const kind of ['good', 'late', 'refused', 'failed'] as const) {
        assert.ok(whole && whole[kind] >= 6, `${kind}: ${whole?.[kind]} of ${whole?.requests}`);
      }
      assert.ok(thresholds.some(({ series, held }) => series === 'failed{side:service}' && !held));
    } finally {
      await model.stop();
    }
  });

  check('a comparison drives both sides at once and reports each', async () => {
    const rig = await startRig({ slo: '1s' });
    try {
      const out = join(scratch, 'compare');
      const path = '/v1/models/m:predict';
      const { status, output } = await startBeside(
        'compare',
        '--target',
        `http://127.0.0.1:${rig.port}`,
        '--baseline',
        `http://127.0.0.1:${rig.modelPort}`,
        '--path',
        path,
        '--body',
        body,
        '--slo',
        '1s',
        '--rate',
        '5',
        '--duration',
        '6s',
        '--out',
        out,
      );
      assert.is(status, 0, output);
      const { sides } = reportIn(out);
      assert.equal(
        sides.map(({ name }) => name),
        ['paceline', 'baseline'],
      );
      for (const { whole, phases } of sides) {
        assert.ok(whole.requests >= 118 && whole.requests <= 134, `${whole.requests} requests`);
        assert.equal(
          phases.map(({ name }) => name),
          ['before', 'step', 'after'],
        );
      }
    } finally {
      await rig.stop();
    }
  });

  check('the built k6 is the one that is found', async () => {
    if (existsSync(builtK6())) assert.is(await findK6(), builtK6());
  });
});
