import { createServer } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import * as assert from 'uvu/assert';
import { errorSpecs } from '../../src/companion/errors.ts';
import { type Answer, type Rig, startRig, withRig } from '../support/companion.ts';
import { readMetricsPage } from '../support/metrics-page.ts';
import { suite } from '../support/suite.ts';

/** As many requests as the companion serves beside its batches, each way. */
const passMax = 1024;

suite('companion: refusals', (test) => {
  test('PL_LATE_SHED: what cannot meet the objective is refused at once where late work is shed', () =>
    withRig({ late: 'shed', 'max-batch-size': '1', slo: '200ms', 'late-timeout': '20s' }, async (rig) => {
      rig.model.serial = true;
      rig.model.timeMs = () => 60;
      for (let i = 0; i < 6; i++) assert.is((await rig.predict('warm')).status, 200);
      const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => rig.predict(i)));
      const refused = answers.filter((answer) => answer.status !== 200);
      assert.ok(refused.length >= 15 && refused.length < 30, `${refused.length} of 30 refused`);
      for (const answer of refused) expectRefusal(answer, 503, 'PL_LATE_SHED');
      for (const [i, answer] of answers.entries()) {
        if (answer.status === 200) assert.equal(answer.json, { predictions: [{ echo: i }] });
      }
      assert.is(await requestsEnded(rig, 'refused', 'late-shed'), refused.length);
    }));

  test('PL_DEADLINE_UNMEETABLE: a deadline shorter than the model needs is refused without a call', () =>
    withRig({ slo: '500ms' }, async (rig) => {
      rig.model.timeMs = () => 100;
      const infer = (timeoutUs: number) => {
        const tensor = { name: 'x', shape: [1, 1], datatype: 'INT64', data: [timeoutUs] };
        return rig.call('/v2/models/m/infer', JSON.stringify({ inputs: [tensor], parameters: { timeout: timeoutUs } }));
      };
      for (let i = 0; i < 12; i++) assert.is((await infer(2_000_000 + i)).status, 200);
      // An idle model is tried all the same, so that a wrong estimate is found out.
      const inFlight = infer(2_000_000);
      await until(() => rig.model.calls.length === 13);
      expectRefusal(await infer(60_000), 504, 'PL_DEADLINE_UNMEETABLE');
      assert.is(await requestsEnded(rig, 'refused', 'unmeetable'), 1);
      assert.is((await inFlight).status, 200);
      assert.is(rig.model.calls.length, 13, 'the model never saw it');
      assert.is((await infer(2_000_000)).status, 200);
    }));

  test('PL_PASS_FULL: more is forwarded beside the batches than may be', () =>
    withRig({ 'max-batch-size': '2' }, async (rig) => {
      const release = rig.model.hold();
      const callers = new ManyCallers(rig);
      // More items than a batch holds: such a request streams through, and ends up where the model can hold it.
      const held = Array.from({ length: passMax }, (_, i) => callers.predict([i, i, i]));
      await until(() => rig.model.heldItems === 3 * passMax);
      expectRefusal(await rig.call('/v1/models/m:predict', '{"instances":[1,2,3]}'), 503, 'PL_PASS_FULL');
      expectRefusal(await rig.call('/anything'), 503, 'PL_PASS_FULL');
      assert.is(await requestsEnded(rig, 'passed', 'PL_PASS_FULL'), 2);
      release();
      for (const [i, answer] of (await Promise.all(held)).entries()) {
        const echo = { echo: i };
        assert.equal(answer.json, { predictions: [echo, echo, echo] });
      }
      assert.is((await rig.call('/anything')).status, 200, 'and there is room again');
      callers.close();
    }));

  test('PL_PASS_FULL: more may share no batch than can be sent alone', () =>
    withRig({ 'late-timeout': '30s', 'max-in-flight': '256' }, async (rig) => {
      const release = rig.model.hold();
      const callers = new ManyCallers(rig);
      // Rows of two forms share a batch with nobody.
      const held = Array.from({ length: passMax }, (_, i) => callers.predict([i, [i]]));
      await until(() => rig.model.heldItems >= 2 * 256);
      await untilAsync(async () => (await passedWhy(rig, 'mixed-rows')) === passMax);
      expectRefusal(await rig.call('/v1/models/m:predict', '{"instances":[1,[1]]}'), 503, 'PL_PASS_FULL');
      assert.is(await requestsEnded(rig, 'refused', 'PL_PASS_FULL'), 1);
      release();
      for (const [i, answer] of (await Promise.all(held)).entries()) {
        assert.equal(answer.json, { predictions: [{ echo: i }, { echo: [i] }] });
      }
      callers.close();
    }));

  test('PL_UPSTREAM_REPLY: a reply larger than the companion holds', async () => {
    const rig = await startRig({ 'late-timeout': '60s' });
    await rig.model.stop();
    const chunk = Buffer.alloc(8 * 1024 * 1024, 'a');
    const server = createServer((request, response) => {
      request.resume();
      const send = () => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', send);
      request.on('end', send);
    });
    try {
      await new Promise<void>((resolve) => server.listen(rig.modelPort, '127.0.0.1', resolve));
      expectRefusal(await rig.predict(1), 502, 'PL_UPSTREAM_REPLY');
      assert.is(await requestsEnded(rig, 'failed', 'PL_UPSTREAM_REPLY'), 1);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rig.model.start(rig.modelPort);
      await rig.stop();
    }
  });

  test('PL_BODY_TRUNCATED: a stream that ends before its announced length never reaches the model', () =>
    withRig({}, async (rig) => {
      const session = connectHttp2(`http://127.0.0.1:${rig.port}`);
      const stream = session.request({
        ':method': 'POST',
        ':path': '/v1/models/m:predict',
        'content-type': 'application/json',
        'content-length': '100',
      });
      // HTTP/2 resets such a stream, so that the refusal is in the metrics only.
      const closed = new Promise((resolve) => stream.on('close', resolve));
      stream.on('error', () => {});
      stream.end('{"instances":[1]}');
      await closed;
      await untilAsync(async () => (await requestsEnded(rig, 'refused', 'PL_BODY_TRUNCATED')) === 1);
      assert.is(rig.model.calls.length, 0);
      assert.match((await rig.admin('/metrics')).text, /paceline_waiting_bytes 0\n/);
      session.close();
      assert.is((await rig.predict(1)).status, 200);
    }));
});

/** Callers by the thousand over a few HTTP/2 connections. */
class ManyCallers {
  readonly #sessions: ClientHttp2Session[];
  #next = 0;

  constructor(rig: Rig) {
    this.#sessions = Array.from({ length: 4 }, () => connectHttp2(`http://127.0.0.1:${rig.port}`));
  }

  predict(instances: unknown[]): Promise<{ status: number; json: unknown }> {
    const session = this.#sessions[this.#next++ % this.#sessions.length] as ClientHttp2Session;
    return new Promise((resolve, reject) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/v1/models/m:predict',
        'content-type': 'application/json',
      });
      let status = 0;
      let text = '';
      stream.on('response', (headers) => {
        status = Number(headers[':status']);
      });
      stream.on('data', (chunk) => {
        text += chunk;
      });
      stream.on('error', reject);
      stream.on('end', () =>
        text === ''
          ? reject(new Error(`an empty answer, status ${status}`))
          : resolve({ status, json: JSON.parse(text) }),
      );
      stream.end(JSON.stringify({ instances }));
    });
  }

  close(): void {
    for (const session of this.#sessions) session.close();
  }
}

/** The status, the code, what the caller is told, and when it may come back. */
function expectRefusal(answer: Answer, status: number, code: keyof typeof errorSpecs): void {
  assert.is(answer.status, status, answer.text);
  assert.equal(answer.json, { error: errorSpecs[code].message, code });
  assert.is(answer.headers['content-type'], 'application/json');
  assert.is(answer.headers['retry-after'], status === 503 ? '1' : undefined);
}

async function requestsEnded(rig: Rig, outcome: string, reason: string): Promise<number> {
  return count(rig, 'paceline_requests_total', `outcome="${outcome}",reason="${reason}"`);
}

async function passedWhy(rig: Rig, why: string): Promise<number> {
  return count(rig, 'paceline_pass_through_total', `why="${why}"`);
}

async function count(rig: Rig, name: string, labels: string): Promise<number> {
  const page = readMetricsPage((await rig.admin('/metrics')).text, false);
  return page.get(name)?.samples.get(`${name}{${labels}}`) ?? 0;
}

function until(condition: () => boolean): Promise<void> {
  return untilAsync(async () => condition());
}

async function untilAsync(condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 10_000; !(await condition()); ) {
    if (Date.now() > end) throw new Error('waited ten seconds in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
