import { generateKeyPairSync } from 'node:crypto';
import * as assert from 'uvu/assert';
import { Batch, type BatchOrder, type BatchTarget } from '../../../src/controller/actuators/batch.ts';
import type { PodCall } from '../../../src/controller/signals/pod-call.ts';
import { DocumentGate } from '../../../src/policy/policy-document.ts';
import { ApiDouble } from '../../support/api-double.ts';
import { QuietLog } from '../../support/quiet-log.ts';
import { suite } from '../../support/suite.ts';

const pair = generateKeyPairSync('ed25519');
const privatePem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const current = pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64');

const order: BatchOrder = {
  mode: 'act',
  sloMs: 500,
  sloQuantile: 0.99,
  late: 'defer',
  lateTimeoutMs: 5_000,
  batches: new Map([['m-00001', { maxBatchSize: 32, patience: 0.5 }]]),
  otherwise: { maxBatchSize: 64, patience: 'auto' },
};

type Pod = BatchTarget['pods'][number];

function podOf(n: number, change: Partial<Pod> = {}): Pod {
  return {
    namespace: 'a',
    name: `m-${n}`,
    uid: `pod-${n}`,
    revision: 'm-00001',
    ip: `10.0.0.${n}`,
    node: 'node',
    createdMs: 0,
    readyMs: 1,
    ending: false,
    memoryGb: 0,
    companion: true,
    sequence: undefined,
    heard: false,
    ...change,
  };
}

/** Pods that take documents as a companion does: by its own gate. */
function rig(key: () => string | undefined = () => privatePem) {
  const told: string[] = [];
  const gates = new Map<string, DocumentGate>();
  const refusals: string[] = [];
  let status = 200;
  let text = '';
  let most = 0;
  let now = 0;
  const call: PodCall = async (ip, { body = '', method, path }) => {
    assert.is(`${method} ${path}`, 'PUT /policy');
    now++;
    most = Math.max(most, now);
    await new Promise((resolve) => setImmediate(resolve));
    now--;
    told.push(ip);
    if (status === 0) throw new Error('connection refused');
    if (status !== 200) return { status, body: text };
    const gate = gates.get(ip) ?? new DocumentGate({ current }, { isvcUid: 'uid', revision: 'm-00001' });
    gates.set(ip, gate);
    const answer = gate.accept(body, nowMs);
    if ('refused' in answer) refusals.push(answer.refused);
    return 'refused' in answer
      ? { status: 403, body: JSON.stringify({ code: answer.refused }) }
      : { status: 200, body: '' };
  };
  let batch = new Batch(call, key);
  let nowMs = 1_700_000_000_000;
  const api = new ApiDouble();
  return {
    api,
    told,
    refusals,
    gates,
    apply: (
      pods: readonly Pod[],
      change: Partial<BatchOrder> = {},
      leads: () => boolean = () => true,
      transitions = 1,
    ) =>
      batch.apply(
        { ...order, ...change },
        { uid: 'uid', pods },
        { api, log: new QuietLog(), nowMs, monotonicMs: nowMs, leads, transitions },
      ),
    answer: (next: number, body = '') => {
      status = next;
      text = body;
    },
    later: (ms: number) => {
      nowMs += ms;
    },
    restart: () => {
      batch = new Batch(call, key);
    },
    most: () => most,
    giveBack: () => batch.giveBack(),
  };
}

suite('tell companions', (test) => {
  test('nobody is told without a signing key', async () => {
    const { apply, told } = rig(() => undefined);
    assert.is((await apply([podOf(1)])).refused?.reason, 'WriteFailed');
    assert.equal(told, []);
  });

  test('nobody is told once the lease is lost, in the middle of a service too', async () => {
    const { apply, told } = rig();
    let left = 3;
    const pods = Array.from({ length: 20 }, (_, n) => podOf(n + 1));
    await apply(pods, {}, () => left-- > 0);
    assert.is(told.length, 3);
  });

  test('pods without a companion, without an address or at their end are not asked', async () => {
    const { apply, told } = rig();
    const { changes, refused } = await apply([
      podOf(1, { companion: false }),
      podOf(2, { ip: undefined }),
      podOf(3, { ending: true }),
    ]);
    assert.equal([told, changes, refused], [[], [], undefined]);
  });

  test('one that does not take its document is named, and left alone for longer each time', async () => {
    const { apply, told, answer, later } = rig();
    for (const status of [500, 403, 0]) {
      answer(status);
      const before = told.length;
      const { refused } = await apply([podOf(1)]);
      assert.is(refused?.reason, 'WriteFailed');
      assert.match(refused?.message as string, /m-1: /);
      await apply([podOf(1)]);
      assert.is(told.length, before + 1, 'not at once');
      later(100_000);
    }
    const start = told.length;
    for (let i = 0; i < 120; i++) {
      await apply([podOf(1)]);
      later(1_000);
    }
    assert.ok(told.length - start <= 4, `asked ${told.length - start} times in two minutes`);
    answer(200);
    later(60_000);
    assert.is((await apply([podOf(1)])).refused, undefined);
  });

  test('what it says of a refusal is a code of ours and its help; nothing else of an answer', async () => {
    const { apply, answer, later } = rig();
    for (const [body, said] of [
      ['', /status 403$/],
      ['<h1>Forbidden</h1>', /status 403$/],
      ['null', /status 403$/],
      ['{"code":"rm -rf"}', /status 403$/],
      [`{"code":"PL_${'A'.repeat(61)}"}`, /status 403$/],
      [`{"code":"PL_POLICY_VALUE"}${' '.repeat(4_096)}`, /status 403$/],
      ['{"code":"PL_OF_ANOTHER_VERSION","error":"x"}', /status 403, PL_OF_ANOTHER_VERSION$/],
      ['{"code":"PL_POLICY_EARLY","error":"x"}', /status 403, PL_POLICY_EARLY\. Set the clocks of the nodes\.$/],
    ] as const) {
      answer(403, body);
      const { refused } = await apply([podOf(1)]);
      assert.is(refused?.reason, 'WriteFailed');
      assert.match(refused?.message as string, said);
      later(100_000);
    }
  });

  test('pods that know only keys of an earlier installation: to be restarted, and said until they are', async () => {
    const other = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const { apply, later, told } = rig(() => other);
    const pods = [podOf(2), podOf(1), podOf(3, { revision: 'other' })];
    for (let i = 0; i < 10; i++) {
      const { refused } = await apply(pods);
      assert.is(refused?.reason, 'RestartRequired');
      assert.match(refused?.message as string, /m-1: status 403, PL_POLICY_SIGNATURE\. .*`kubectl delete pod`/);
      later(1_000);
    }
    assert.ok(told.length <= 9, 'while they are left alone too');
    assert.is((await apply([podOf(1, { ending: true })])).refused, undefined);
  });

  test('one that fails holds up none of the others', async () => {
    const { apply, gates } = rig();
    const pods = [podOf(1, { revision: 'other' }), ...Array.from({ length: 9 }, (_, n) => podOf(n + 2))];
    const { refused } = await apply(pods);
    assert.match(refused?.message as string, /m-1: status 403/);
    assert.is([...gates.values()].filter(({ sequence }) => sequence !== undefined).length, 9);
  });

  test('the same order is told once, and again well before it expires', async () => {
    const { apply, told, later } = rig();
    for (let i = 0; i < 600; i++) {
      await apply([podOf(1, { heard: true, sequence: [1, 1] })]);
      later(1_000);
    }
    assert.is(told.length, 5, 'each two minutes of five in ten');
  });

  test('a change is told at once and named; the first word to a pod is no change', async () => {
    const { apply, told } = rig();
    assert.equal((await apply([podOf(1)])).changes, []);
    const { changes } = await apply([podOf(1)], { mode: 'off' });
    assert.is(told.length, 2);
    assert.match(changes[0] as string, /^pod m-1: off, batches of at most 32, patience 0\.50/);
  });

  test('patience that moves by less than can be told apart is no change', async () => {
    const { apply, told } = rig();
    const batches = (patience: number) => ({ batches: new Map([['m-00001', { maxBatchSize: 32, patience }]]) });
    await apply([podOf(1)], batches(0.5));
    await apply([podOf(1)], batches(0.501));
    assert.is(told.length, 1);
  });

  test('a companion that started anew has forgotten, and is told again', async () => {
    const { apply, told, later } = rig();
    const forgot = podOf(1, { heard: true });
    await apply([forgot]);
    later(10_000);
    await apply([forgot]);
    assert.is(told.length, 1, 'what was heard may be older than what was told');
    later(10_000);
    await apply([forgot]);
    assert.is(told.length, 2);
    assert.is((await apply([podOf(1, { uid: 'another' })])).refused, undefined);
    assert.is(told.length, 3, 'a pod of the same name is another one');
  });

  test('every document is newer than the one before, after a new leader and a clock set back too', async () => {
    const { apply, refusals, told, later, restart } = rig();
    await apply([podOf(1)]);
    await apply([podOf(1)], { mode: 'off' });
    later(-5_000);
    await apply([podOf(1)]);
    restart();
    await apply([podOf(1)], {}, () => true, 2);
    assert.equal(refusals, []);
    assert.is(told.length, 4);
  });

  test('a clock that was set back an hour does not keep a document from being renewed', async () => {
    const { apply, told, later } = rig();
    await apply([podOf(1)]);
    later(-3_600_000);
    await apply([podOf(1)]);
    assert.is(told.length, 2);
  });

  test('at most eight at once, all of them in the end, and nothing is asked of the API', async () => {
    const { api, apply, told, most, giveBack } = rig();
    await apply(Array.from({ length: 50 }, (_, n) => podOf(n + 1)));
    assert.is(new Set(told).size, 50);
    assert.ok(most() <= 8 && most() > 1, `${most()} at once`);
    await giveBack();
    assert.equal(api.writes, []);
  });
});
