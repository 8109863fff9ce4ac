import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { ModelServer } from '../support/model-server.ts';
import { recordingOf } from '../support/recordings.ts';
import { suite } from '../support/suite.ts';

const bundle = fileURLToPath(new URL('../../dist/paceline.mjs', import.meta.url));
const run = (...given: string[]) => spawnSync(process.execPath, [bundle, ...given], { encoding: 'utf8' });

/** A command that talks to this process, which must go on meanwhile. */
async function runBeside(...given: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [bundle, ...given]);
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, out, err };
}

async function withFiles(body: (path: (name: string) => string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'paceline-replay-'));
  const path = (name: string) => join(folder, name);
  writeFileSync(path('r.plr'), recordingOf([{ atMs: 0, items: 2 }, { atMs: 20 }, { atMs: 40, outcome: 'late' }]));
  writeFileSync(path('body.json'), '{"instances":[7]}');
  try {
    await body(path);
  } finally {
    await rm(folder, { recursive: true });
  }
}

suite('paceline replay', (test) => {
  test('what is wrong ends with 2 and says what would be right', () =>
    withFiles(async (path) => {
      const target = ['--target', 'http://127.0.0.1:1/v1/models/m:predict'];
      const cases: [string[], RegExp][] = [
        [['none.plr', '--dry-run'], /ENOENT.*none\.plr/],
        [[path('body.json'), '--dry-run'], /PL_RECORDING.*no recording/],
        [[path('r.plr')], /--target and --body are needed, or --dry-run/],
        [[path('r.plr'), ...target, '--body', path('r.plr')], /PL_REPLAY_BODY.*not JSON/],
        [[path('r.plr'), '--target', 'model'], /address such as http/],
        [[path('r.plr'), '--speed', '0'], /factor from 0\.01 to 1000/],
      ];
      for (const [given, wrong] of cases) {
        const { status, stderr } = run('replay', ...given);
        assert.is(status, 2, given.join(' '));
        assert.match(stderr, wrong);
      }
    }));

  test('a dry run says what the recording holds, in words and as JSON', () =>
    withFiles(async (path) => {
      const { stdout } = run('replay', path('r.plr'), '--dry-run');
      assert.match(stdout, /^3 requests from 2026-01-01T00:00:00\.000Z in 0\.04 s/);
      assert.match(stdout, /3 of them may share batches: 4 items, 1 lanes, SLO 200 ms/);
      const { recorded } = JSON.parse(run('replay', path('r.plr'), '--dry-run', '--json').stdout);
      assert.equal([recorded.requests, recorded.outcomes], [3, { 'in-time': 2, late: 1 }]);
    }));

  test('a replay shows its figures beside the recorded ones', () =>
    withFiles(async (path) => {
      const model = new ModelServer();
      const target = `http://127.0.0.1:${await model.start()}/v1/models/m:predict`;
      try {
        const flags = [path('r.plr'), '--target', target, '--body', path('body.json'), '--slo', '1h'];
        const { code, out, err } = await runBeside('replay', ...flags);
        assert.is(code, 0, err);
        assert.match(out, /^recorded +66\.67 %/m);
        assert.match(out, /^replayed +100\.00 %/m);
        assert.match(out, /^3 sent in .* answers: 3 x 200$/m);
        assert.match(err, /replaying 100 %: 3 sent, 100\.0 % in time so far/);
        const { replayed } = JSON.parse((await runBeside('replay', ...flags, '--json')).out);
        assert.equal([replayed.sent, replayed.statuses], [3, { 200: 3 }]);
        assert.is(model.calls.length, 6);
      } finally {
        await model.stop();
      }
    }));

  test('a target where nobody answers: the report says why, and the command fails', () =>
    withFiles(async (path) => {
      const model = new ModelServer();
      const target = `http://127.0.0.1:${await model.start()}/v1/models/m:predict`;
      await model.stop();
      const { code, out, err } = await runBeside(
        'replay',
        path('r.plr'),
        '--target',
        target,
        '--body',
        path('body.json'),
      );
      assert.is(code, 1);
      assert.match(out, /answers: 3 x unreachable$/m);
      assert.match(err, /nobody answered at http:\/\/127\.0\.0\.1:\d+\/v1\/models\/m:predict/);
    }));

  test('the simulator runs the same recording', () =>
    withFiles(async (path) => {
      const { stdout } = run('simulate', '--recording', path('r.plr'));
      assert.match(stdout, /^3 recorded requests in 1 lanes, SLO 200 ms, seed 1$/m);
      assert.match(stdout, /^ *100\.00%/m);
      const strict = run('simulate', '--recording', path('r.plr'), '--slo', '10ms');
      assert.match(strict.stdout, /^ *0\.00%/m);
      assert.is(run('simulate', '--recording', path('body.json')).status, 2);
    }));
});
