import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
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

suite('the access log', (test) => {
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
  test('each request is a line on standard output, as Knative writes it', async () => {
    const model = new ModelServer();
    const upstream = `http://127.0.0.1:${await model.start()}`;
    const bundle = fileURLToPath(new URL('../../../dist/paceline.mjs', import.meta.url));
    const flags = ['--upstream', upstream, '--slo', '200ms', '--port', '0', '--admin-port', '0', '--drain-quiet', '0s'];
    const child = spawn(process.execPath, [bundle, 'companion', ...flags, '--request-log', 'true'], {
      env: { PATH: process.env.PATH, SERVING_POD_IP: '10.1.2.3' },
    });
    try {
      let out = '';
      child.stdout.on('data', (chunk) => {
        out += chunk;
      });
      let said = '';
      for await (const chunk of child.stderr) {
        said += chunk;
        if (/the companion listens.*\n/.test(said)) break;
      }
      const port = Number(/"port":(\d+)/.exec(said)?.[1]);
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
    } finally {
      child.kill('SIGKILL');
      await model.stop();
    }
  });
});
