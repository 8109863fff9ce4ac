import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import * as assert from 'uvu/assert';
import { Recording } from '../../../src/telemetry/recording.ts';
import type { RecordedRequest } from '../../../src/telemetry/recording-format.ts';
import { plain, type Written } from '../../contract/asked.ts';
import { grpcDriver } from '../../contract/grpc-driver.ts';
import { callInfer, withGrpcEdges } from '../../contract/grpc-edges.ts';
import { type Rig, together, withRig } from '../../support/companion.ts';
import { QuietLog } from '../../support/quiet-log.ts';
import { suite } from '../../support/suite.ts';

/** What a companion has recorded when it has drained. */
async function recorded(run: (rig: Rig) => Promise<void>): Promise<{ records: RecordedRequest[]; bytes: Buffer }> {
  const folder = await mkdtemp(join(tmpdir(), 'paceline-record-'));
  try {
    const file = join(folder, 'r.plr');
    await withRig({ record: file, slo: '60s' }, async (rig) => {
      await run(rig);
      await rig.companion.drain();
    });
    const bytes = readFileSync(file);
    return { records: [...new Recording(bytes)], bytes };
  } finally {
    await rm(folder, { recursive: true });
  }
}

suite('the recorder', (test) => {
  test('where the file cannot be written requests are served, and it is said', async () => {
    const log = new QuietLog();
    await withRig(
      { record: '/nowhere/at/all.plr' },
      async (rig) => {
        assert.is((await rig.predict(1)).status, 200);
        assert.match((await rig.admin('/metrics')).text, /paceline_records_total\{result="dropped"\} 1/);
      },
      { log },
    );
    assert.match(String(log.lines.find(({ level }) => level === 'error')?.message), /nothing is recorded/);
  });

  test('of gRPC the status says what became of a call, and our own errors are refusals', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'paceline-record-'));
    const body = (grpcDriver.write({ ...plain, rows: [[1]] }) as Written).body;
    const record = join(folder, 'r.plr');
    try {
      await withGrpcEdges(grpcDriver, { record }, async (edges) => {
        await callInfer(edges.client, body).answer;
        edges.refuse = () => grpc.status.UNAVAILABLE;
        await callInfer(edges.client, body).answer;
        await edges.rig.companion.drain();
      });
      // Nothing listens there: what passes ends with an error of ours.
      await withGrpcEdges(grpcDriver, { record, mode: 'off', upstream: 'http://127.0.0.1:1' }, async (edges) => {
        await callInfer(edges.client, body).answer;
        await edges.rig.companion.drain();
      });
      const records = [...new Recording(readFileSync(record))];
      assert.equal(
        records.map(({ outcome }) => outcome),
        ['in-time', 'failed', 'refused'],
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('each request is there with what became of it, and nothing that it said', async () => {
    const { records, bytes } = await recorded(async (rig) => {
      rig.model.behave = (_call, number) => (number === 1 ? 503 : 'ok');
      await rig.call('/v1/models/m:predict', '{"instances":["hidden",2]}', { authorization: 'hidden' });
      await rig.predict(1);
      await rig.call('/v1/models/m:predict?key=hidden', 'no');
      await rig.call('/hidden', 'hidden');
    });
    assert.not(bytes.includes('hidden'));
    assert.equal(
      records.map(({ outcome, status, protocol, items, batch }) => [outcome, status, protocol, items, batch]),
      [
        ['in-time', 200, 'v1', 2, 1],
        ['failed', 503, 'v1', 1, 1],
        ['refused', 400, 'v1', 0, 0],
        ['passed', 200, 'passed', 0, 0],
      ],
    );
    const [first] = records as [RecordedRequest];
    assert.is(first.requestBytes, 26);
    assert.ok(first.responseBytes > 20);
    assert.ok(Math.abs(first.objectiveMs - 60_000) < 0.01);
    assert.ok(first.execMs > 0 && first.execMs + first.waitedMs <= first.totalMs);
    assert.ok(records.every(({ atMs }, i) => i === 0 || atMs >= (records[i - 1]?.atMs ?? 0)));
  });

  test('requests of one lane have one hash, others another, and no two segments the same', async () => {
    const run = () =>
      recorded(async (rig) => {
        await together(rig, () => ['a', 'b', 'c', 'd'].map((each) => rig.predict(each)));
        await rig.predict('a', { 'x-tenant': 'a' });
      });
    const lanes = (records: readonly RecordedRequest[]) => [...new Set(records.map(({ lane }) => lane))];
    const { records } = await run();
    const [own, other, ...more] = lanes(records);
    assert.equal(more, []);
    assert.is.not(own, other);
    assert.ok(records.some(({ batch }) => batch > 1));
    assert.is.not(lanes((await run()).records)[0], own, 'salted');
  });
});
