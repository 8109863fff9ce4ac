import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { type LineResult, LineWriter } from '../../src/telemetry/line-writer.ts';
import { ModelServer } from '../support/model-server.ts';
import { suite } from '../support/suite.ts';

function writer(descriptor: number, bytesMax?: number) {
  const results: Partial<Record<LineResult, number>> = {};
  const errors: Error[] = [];
  const onEnd = (result: LineResult, lines: number) => {
    results[result] = (results[result] ?? 0) + lines;
  };
  return { to: new LineWriter(descriptor, onEnd, (error) => errors.push(error), bytesMax), results, errors };
}

const full = '/dev/full';

suite('lines on standard output and error', (test) => {
  if (existsSync(full)) {
    test('a full disk costs lines, which are counted, and nothing else', async () => {
      const descriptor = openSync(full, 'w');
      try {
        const { to, results, errors } = writer(descriptor);
        for (let i = 0; i < 100; i++) to.write(`line ${i}\n`);
        await to.close();
        to.write('later\n');
        await to.close();
        assert.equal(results, { dropped: 101 });
        assert.match(String(errors[0]), /ENOSPC/);
      } finally {
        closeSync(descriptor);
      }
    });

    test('a companion whose standard output is a full disk serves on, counts, says it, and ends when it is told to', async () => {
      const model = new ModelServer();
      const upstream = `http://127.0.0.1:${await model.start()}`;
      const bundle = fileURLToPath(new URL('../../dist/paceline.mjs', import.meta.url));
      const flags = [
        '--upstream',
        upstream,
        '--slo',
        '200ms',
        '--port',
        '0',
        '--admin-port',
        '0',
        '--drain-quiet',
        '0s',
      ];
      const descriptor = openSync(full, 'w');
      const child = spawn(process.execPath, [bundle, 'companion', ...flags, '--request-log', 'true'], {
        stdio: ['ignore', descriptor, 'pipe'],
      });
      const exited = once(child, 'exit');
      try {
        let said = '';
        const told = (what: RegExp) =>
          new Promise<void>((resolve) => {
            const look = () => what.test(said) && resolve();
            child.stderr?.on('data', look);
            child.once('exit', () => resolve());
            look();
          });
        child.stderr?.on('data', (chunk) => {
          said += chunk;
        });
        await told(/the companion listens.*\n/);
        const [, port, adminPort] = /"port":(\d+).*"adminPort":(\d+)/.exec(said) ?? [];
        const headers = { 'content-type': 'application/json' };
        for (let i = 0; i < 3; i++) {
          const url = `http://127.0.0.1:${port}/v1/models/m:predict`;
          const reply = await fetch(url, { method: 'POST', headers, body: `{"instances":[${i}]}` });
          assert.equal(await reply.json(), { predictions: [{ echo: i }] });
        }
        await told(/lines of the request log are lost/);
        assert.match(said, /ENOSPC/);
        const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
        assert.match(metrics, /paceline_request_log_lines_total\{result="dropped"\} [1-3]/);
        child.kill('SIGTERM');
        assert.equal(await exited, [0, null]);
      } finally {
        child.kill('SIGKILL');
        closeSync(descriptor);
        await model.stop();
      }
    });
  }

  test('at the end of a process that cannot wait, what waits is written at once and nothing twice', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'paceline-lines-'));
    const file = join(folder, 'lines');
    const descriptor = openSync(file, 'a');
    try {
      const { to } = writer(descriptor);
      for (let i = 0; i < 100; i++) to.write(`line ${i}\n`);
      to.flush();
      await to.close();
      // The first one was under way.
      const lines = readFileSync(file, 'utf8').trimEnd().split('\n').sort();
      assert.equal(lines, Array.from({ length: 100 }, (_, i) => `line ${i}`).sort());
    } finally {
      closeSync(descriptor);
      await rm(folder, { recursive: true });
    }
  });

  test('a line that finds no room is dropped and counted, and the others are whole and in their order', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'paceline-lines-'));
    const file = join(folder, 'lines');
    const descriptor = openSync(file, 'w');
    try {
      const { to, results } = writer(descriptor, 100);
      // The first one is on its way at once; of the others ten find room.
      for (let i = 0; i < 20; i++) to.write(`number ${i % 10}.\n`);
      await to.close();
      assert.equal(results, { written: 11, dropped: 9 });
      const expected = Array.from({ length: 11 }, (_, i) => `number ${i % 10}.\n`);
      assert.is(readFileSync(file, 'utf8'), expected.join(''));
      to.write('after\n');
      await to.close();
      assert.ok(readFileSync(file, 'utf8').endsWith('.\nafter\n'));
    } finally {
      closeSync(descriptor);
      await rm(folder, { recursive: true });
    }
  });
});
