import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Pool } from 'undici';
import * as assert from 'uvu/assert';
import { AccessLog } from '../../../src/companion/observing/access-log.ts';
import type { Account } from '../../../src/companion/observing/account.ts';
import { type Rig, withRig } from '../../support/companion.ts';
import { ModelServer } from '../../support/model-server.ts';
import { QuietLog } from '../../support/quiet-log.ts';
import { suite } from '../../support/suite.ts';

type Line = Record<string, unknown>;

async function logged(flags: Record<string, string>, run: (rig: Rig) => Promise<void>): Promise<Line[]> {
  const log = new QuietLog();
  // However slow the machine is, a request without a hint is in time.
  await withRig({ slo: '60s', ...flags }, run, { log });
  return log.lines
    .filter(({ message }) => message === 'request')
    .map(({ level, fields }) => ({ level, ...(fields as Line) }));
}

/** An account as the log reads it. */
const account = (more: Partial<Account>): Account =>
  ({
    request: { method: 'POST', url: '/x?secret=1', headers: { 'x-request-id': 'id' } },
    waited: { queueMs: 0, waitMs: 0 },
    outcome: 'answered',
    status: 200,
    receivedAt: 0,
    endedAt: 12.3456,
    requestBytes: 1,
    responseBytes: 2,
    ...more,
  }) as Account;

const bundle = fileURLToPath(new URL('../../../dist/paceline.mjs', import.meta.url));

/** Runs a companion in a process of its own, whose standard error is read until it listens and no further. */
async function withProcess(
  flags: readonly string[],
  run: (child: ChildProcessWithoutNullStreams, port: number, adminPort: number) => Promise<void>,
): Promise<void> {
  const model = new ModelServer();
  model.keepCalls = false;
  const upstream = `http://127.0.0.1:${await model.start()}`;
  const own = ['--upstream', upstream, '--slo', '60s', '--port', '0', '--admin-port', '0', '--drain-quiet', '0s'];
  const child = spawn(process.execPath, [bundle, 'companion', ...own, ...flags], {
    env: { PATH: process.env.PATH, SERVING_POD_IP: '10.1.2.3' },
  });
  try {
    let said = '';
    const hear = (chunk: Buffer) => {
      said += chunk;
    };
    child.stderr.on('data', hear);
    while (!/the companion listens.*\n/.test(said)) await once(child.stderr, 'data');
    child.stderr.pause();
    child.stderr.off('data', hear);
    const [, port, adminPort] = /"port":(\d+),"adminPort":(\d+)/.exec(said) ?? [];
    await run(child, Number(port), Number(adminPort));
  } finally {
    child.kill('SIGKILL');
    await model.stop();
  }
}

/** Asks until lines of this metric are dropped. Every request is answered. */
async function askUntilDropped(metric: string, port: number, adminPort: number): Promise<void> {
  const dropped = new RegExp(`^${metric}\\{result="dropped"\\} [1-9]`, 'm');
  const headers = { 'x-request-id': 'i'.repeat(120) };
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 50, pipelining: 1 });
  for (let asked = 0; asked < 20_000; asked += 100) {
    const page = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    if (dropped.test(page)) return pool.destroy();
    const ask = async () => {
      const signal = AbortSignal.timeout(60_000);
      const reply = await pool.request({ method: 'GET', path: `/${'x'.repeat(250)}`, headers, signal });
      await reply.body.dump();
      assert.is(reply.statusCode, 200);
    };
    await Promise.all(Array.from({ length: 100 }, ask));
  }
  assert.unreachable(`nothing is counted in ${metric}`);
}

const everyLine = ['--access-log', '1', '--access-log-rate', '100000'];

suite('the access log', (test) => {
  test('lines that nobody reads hold up no request and no end: they are dropped and counted', () =>
    withProcess(everyLine, async (child, port, adminPort) => {
      await askUntilDropped('paceline_log_lines_total', port, adminPort);
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      assert.equal(await exited, [0, null]);
    }));

  test('who reads again finds whole lines in their order, and those of the end', () =>
    withProcess(everyLine, async (child, port, adminPort) => {
      await askUntilDropped('paceline_log_lines_total', port, adminPort);
      let said = '';
      child.stderr.on('data', (chunk) => {
        said += chunk;
      });
      child.stderr.resume();
      // Room again, before the end needs some.
      while (said.length < 1_000_000) await once(child.stderr, 'data');
      const closed = once(child, 'close');
      child.kill('SIGTERM');
      assert.equal(await closed, [0, null]);
      const lines = said.trimEnd().split('\n');
      const times = lines.map((line) => String((JSON.parse(line) as Line).time));
      assert.equal(times, [...times].sort());
      assert.match(String(lines.at(-1)), /"clean":true,"msg":"drained"/);
    }));

  test('nothing is logged of requests unless it is asked for', async () => {
    assert.equal(await logged({}, async (rig) => void (await rig.call('/v1/models/m:predict', 'no'))), []);
  });

  test('failures, refusals and missed objectives always are, sound requests by their share', async () => {
    const lines = await logged({ 'access-log': '0' }, async (rig) => {
      rig.model.behave = (_call, number) => (number === 0 ? 503 : 'ok');
      await rig.predict(1, { 'x-request-id': 'failed' });
      await rig.call('/v1/models/m:predict', 'no', { 'x-request-id': 'refused' });
      await rig.predict(2, { 'x-request-id': 'late', 'paceline-timeout-ms': '0.001' });
      await rig.predict(3, { 'x-request-id': 'sound' });
      await rig.call('/passed');
    });
    const by = (id: string) => lines.find(({ requestId }) => requestId === id);
    assert.equal([by('failed')?.outcome, by('failed')?.status, by('failed')?.met], ['failed', 503, false]);
    assert.equal([by('refused')?.outcome, by('refused')?.code], ['refused', 'PL_BODY_SYNTAX']);
    assert.is(by('late')?.met, false);
    assert.ok(lines.every(({ level }) => level === 'warn'));
    assert.is(by('sound'), undefined);
  });

  test('a line says what became of the request, and nothing of its query, headers or body', async () => {
    const [line] = await logged({ 'access-log': '1' }, async (rig) => {
      const headers = {
        'x-request-id': 'mine',
        authorization: 'Bearer secret',
        traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
      };
      await rig.call('/v1/models/m:predict?key=secret', '{"instances":["secret"]}', headers);
    });
    assert.not.match(JSON.stringify(line), /secret/);
    assert.equal(Object.keys(line ?? {}).sort(), [
      ...['batch', 'execMs', 'items', 'level', 'met', 'method', 'ms', 'outcome', 'path', 'queueMs', 'requestBytes'],
      ...['requestId', 'responseBytes', 'status', 'traceId', 'waitMs'],
    ]);
    assert.is(line?.requestId, 'mine');
    assert.is(line?.traceId, 'a'.repeat(32));
    assert.is(line?.path, '/v1/models/m:predict');
    assert.is(line?.requestBytes, 24);
    assert.equal([line?.batch, line?.items, line?.met, line?.level], [1, 1, true, 'info']);
  });

  test('a rate bounds the lines, and the next one says how many were held back', () => {
    const log = new QuietLog();
    let now = 0;
    const access = new AccessLog(log, { share: 0, perSecond: 10 }, () => now);
    for (let i = 0; i < 1000; i++) access.ended(account({ outcome: 'failed', status: 503 }));
    assert.is(log.lines.length, 10);
    now = 100;
    access.ended(account({ outcome: 'failed', status: 503 }));
    assert.is((log.lines.at(-1)?.fields as Line | undefined)?.heldBack, 990);
    access.ended(account({}));
    assert.is(log.lines.length, 11);
  });

  test('of sound requests the share is logged, in the order of chance', () => {
    const log = new QuietLog();
    const chances = [0.1, 0.9, 0.24, 0.25];
    const access = new AccessLog(
      log,
      { share: 0.25, perSecond: 100 },
      () => 0,
      () => chances.shift() as number,
    );
    for (let i = 0; i < 4; i++) access.ended(account({}));
    assert.is(log.lines.length, 2);
    assert.equal(log.lines[0]?.fields, {
      ...{ requestId: 'id', method: 'POST', path: '/x', status: 200, outcome: 'answered', ms: 12.35 },
      ...{ requestBytes: 1, responseBytes: 2 },
    });
  });
});

suite('the request log', (test) => {
  test('lines that nobody reads hold up no request and no end: they are dropped and counted', () =>
    withProcess(['--request-log', 'true'], async (child, port, adminPort) => {
      await askUntilDropped('paceline_request_log_lines_total', port, adminPort);
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      assert.equal(await exited, [0, null]);
    }));

  test('each request is a line on standard output, as Knative writes it', () =>
    withProcess(['--request-log', 'true'], async (child, port) => {
      let out = '';
      child.stdout.on('data', (chunk) => {
        out += chunk;
      });
      const headers = { 'content-type': 'application/json', 'user-agent': 'test', 'x-b3-traceid': 'b3b3' };
      const body = '{"instances":[1]}';
      const reply = await fetch(`http://127.0.0.1:${port}/v1/models/m:predict?a=1`, { method: 'POST', headers, body });
      const text = await reply.text();
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
      const { httpRequest, traceId } = JSON.parse(out) as { httpRequest: Line; traceId: string };
      const { remoteIp, latency, ...rest } = httpRequest;
      assert.equal(rest, {
        ...{ requestMethod: 'POST', requestUrl: '/v1/models/m:predict?a=1', requestSize: '17', status: 200 },
        ...{
          responseSize: String(text.length),
          userAgent: 'test',
          serverIp: '10.1.2.3',
          referer: '',
          protocol: 'HTTP/1.1',
        },
      });
      assert.match(String(remoteIp), /^127\.0\.0\.1:\d+$/);
      assert.match(String(latency), /^\d[\d.e-]*s$/);
      assert.is(traceId, 'b3b3');
    }));
});
