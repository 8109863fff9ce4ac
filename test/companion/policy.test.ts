import { generateKeyPairSync } from 'node:crypto';
import * as assert from 'uvu/assert';
import type { DomainSettings } from '../../src/kernels/batching.ts';
import { Setting } from '../../src/kernels/reasons.ts';
import { type PolicyDocument, signDocument } from '../../src/policy/policy-document.ts';
import { type Rig, withRig } from '../support/companion.ts';
import { domainWith, trap } from '../support/scripted-scheduler.ts';
import { suite } from '../support/suite.ts';

const keyPair = () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    pem: privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
    spki: publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
  };
};
const [current, next, stranger] = [keyPair(), keyPair(), keyPair()];
const flags = {
  'policy-keys': `${current.spki},${next.spki}`,
  'isvc-uid': 'uid-1',
  revision: 'rev-1',
  isvc: 'models/iris',
};

let counter = 0;
const signed = (more: Partial<PolicyDocument> = {}, pem = current.pem) =>
  signDocument(
    {
      schemaVersion: 1,
      isvcUid: 'uid-1',
      revision: 'rev-1',
      issuedAt: Date.now(),
      sequence: [1, ++counter],
      ttlMs: 60_000,
      mode: 'act',
      ...more,
    },
    pem,
  );

async function put(rig: Rig, text: string | Buffer) {
  const reply = await fetch(`http://127.0.0.1:${rig.adminPort}/policy`, { method: 'PUT', body: text });
  return { status: reply.status, json: (await reply.json()) as { code?: string; sequence?: number[] } };
}

const config = async (rig: Rig) => (await rig.admin('/config')).json;
const signals = async (rig: Rig) => (await rig.admin('/signals')).json;

suite('companion: policy documents', (test) => {
  test('attacks change nothing and are counted by their code', () =>
    withRig(flags, async (rig) => {
      const good = signed({ maxBatchSize: 16 });
      assert.is((await put(rig, good)).status, 200);
      const old = signed({ issuedAt: Date.now() - 200_000, ttlMs: 1000 });
      const [payload = '', signature = ''] = signed({ mode: 'off' }).split('.');
      const attacks: [string, string | Buffer, number, string][] = [
        ['replay', good, 409, 'PL_POLICY_SEQUENCE'],
        ['an older leader', signed({ sequence: [0, 99_999] }), 409, 'PL_POLICY_SEQUENCE'],
        ['expired', old, 409, 'PL_POLICY_EXPIRED'],
        ['from the future', signed({ issuedAt: Date.now() + 60_000 }), 409, 'PL_POLICY_EARLY'],
        ['another service', signed({ isvcUid: 'uid-2', mode: 'off' }), 403, 'PL_POLICY_TARGET'],
        ['another revision', signed({ revision: 'rev-2', mode: 'off' }), 403, 'PL_POLICY_TARGET'],
        ['a stranger’s key', signed({ mode: 'off' }, stranger.pem), 403, 'PL_POLICY_SIGNATURE'],
        ['another signature', `${payload}.${signed().split('.')[1]}`, 403, 'PL_POLICY_SIGNATURE'],
        ['a changed payload', `${payload.slice(0, -4)}AAAA.${signature}`, 403, 'PL_POLICY_SIGNATURE'],
        ['nothing', '', 400, 'PL_POLICY_FORMAT'],
        ['no text', Buffer.from([0xff, 0x00, 0x2e, 0xfe]), 400, 'PL_POLICY_FORMAT'],
        ['too long', 'a'.repeat(16_385), 413, 'PL_POLICY_SIZE'],
        ['much too long', Buffer.alloc(3_000_000, 'a'), 413, 'PL_POLICY_SIZE'],
      ];
      for (const [name, text, status, code] of attacks) {
        const answer = await put(rig, text);
        assert.is(answer.status, status, name);
        assert.is(answer.json.code, code, name);
      }
      assert.is((await config(rig)).maxBatchSize, 16);
      assert.is((await config(rig)).mode, 'act');
      const page = (await rig.admin('/metrics')).text;
      assert.match(page, /paceline_policy_documents_total\{result="PL_POLICY_SIGNATURE"\} 3\n/);
      assert.match(page, /paceline_policy_documents_total\{result="accepted"\} 1\n/);
      for (const method of ['POST', 'GET', 'DELETE'])
        assert.is((await fetch(`http://127.0.0.1:${rig.adminPort}/policy`, { method })).status, 405, method);
    }));

  test('without keys no document is taken', () =>
    withRig({ 'isvc-uid': 'uid-1', revision: 'rev-1' }, async (rig) => {
      const answer = await put(rig, signed({ mode: 'off' }));
      assert.is(answer.status, 403);
      assert.is(answer.json.code, 'PL_POLICY_SIGNATURE');
      assert.is((await config(rig)).mode, 'act');
    }));

  test('the next key is taken, and from then on not the current one', () =>
    withRig(flags, async (rig) => {
      assert.is((await put(rig, signed({}, next.pem))).status, 200);
      assert.is((await put(rig, signed())).json.code, 'PL_POLICY_SIGNATURE');
    }));

  test('off passes the next call through, and act takes it back', () =>
    withRig(flags, async (rig) => {
      const strange = '{"instances": [1],  "odd": {"a" : 1.0} }';
      await rig.predict(1);
      assert.is((await put(rig, signed({ mode: 'off' }))).status, 200);
      const answer = await rig.call('/v1/models/m:predict', '{ "instances":[ 2 ] }');
      assert.is(answer.status, 200);
      assert.is(answer.headers['server-timing'], undefined);
      assert.is(answer.headers['x-model'], 'echo', "the model's own headers");
      assert.is(rig.model.calls.at(-1)?.body, '{ "instances":[ 2 ] }');
      assert.is((await signals(rig)).mode, 'off');
      await rig.call('/v1/models/m:predict', strange);
      assert.is(rig.model.calls.at(-1)?.body, strange);
      await put(rig, signed({ mode: 'act' }));
      assert.ok((await rig.predict(3)).headers['server-timing']);
    }));

  test('batch size, objective, patience and lateness change while it runs', () =>
    withRig({ ...flags, 'max-batch-size': '4' }, async (rig) => {
      const six = JSON.stringify({ instances: [1, 2, 3, 4, 5, 6] });
      const passed = async () => (await rig.call('/v1/models/m:predict', six)).headers['server-timing'] === undefined;
      assert.is(await passed(), true, 'more than a batch may hold');
      const changes = { maxBatchSize: 128, sloMs: 500, patience: 'auto', sloQuantile: 0.95, late: 'shed' } as const;
      await put(rig, signed(changes));
      assert.is(await passed(), false);
      const now = await config(rig);
      assert.is(now.maxBatchSize, 128);
      assert.is(now.sloMs, 500);
      assert.is(now.sloPercentile, 95);
      assert.is(now.late, 'shed');
      assert.is(now.lateTimeoutMs, 2500, 'five times the new objective');
      await put(rig, signed({ maxBatchSize: 2, sloMs: 50 }));
      assert.is(await passed(), true);
      assert.is((await config(rig)).late, 'defer', 'what a document leaves out is as injected');
      rig.model.timeMs = () => 400;
      assert.is((await rig.predict(1)).json.code, 'PL_DEADLINE_EXCEEDED', 'the new late timeout');
    }));

  test('a kernel that is rebuilt keeps to the policy', async () => {
    const told: Map<Setting, number>[] = [];
    let failing = false;
    const createDomain = (settings: DomainSettings, now: number) => {
      const settled = new Map<Setting, number>();
      told.push(settled);
      return domainWith(settings, now, (real) => ({
        set: (at, setting, value) => {
          settled.set(setting, value);
          real.set(at, setting, value);
        },
        step: (at, sink) => {
          if (!failing) return real.step(at, sink);
          failing = false;
          return trap();
        },
      }));
    };
    await withRig(
      flags,
      async (rig) => {
        await put(rig, signed({ maxBatchSize: 100, sloMs: 333 }));
        await rig.predict(1);
        failing = true;
        assert.is((await rig.predict(2)).status, 200);
        assert.is(told.length, 2, 'it was rebuilt');
        assert.is(told[1]?.get(Setting.MaxBatchItems), 100);
        assert.is(told[1]?.get(Setting.SloMs), 333);
      },
      { createDomain },
    );
  });

  test('what was injected holds again when a document expires', () =>
    withRig(flags, async (rig) => {
      // It lives 30 s longer than it says, for clocks that differ: this one was issued so long ago.
      await put(rig, signed({ mode: 'off', issuedAt: Date.now() - 30_500, ttlMs: 1000 }));
      const before = await signals(rig);
      assert.is(before.mode, 'off');
      assert.ok((before.policyExpiresInMs as number) > 0 && (before.policyExpiresInMs as number) <= 500);
      await new Promise((resolve) => setTimeout(resolve, 600));
      const after = await signals(rig);
      assert.is(after.mode, 'act');
      assert.is(after.policySequence, null);
      assert.is(after.policyExpiresInMs, null);
      assert.is((await put(rig, signed({ sequence: [1, counter - 1] }))).json.code, 'PL_POLICY_SEQUENCE');
    }));

  test('signals say whose they are', () =>
    withRig(flags, async (rig) => {
      assert.equal((await signals(rig)).attainment, { share: null, requests: 0 });
      await rig.predict(1);
      const said = await signals(rig);
      assert.is(said.isvc, 'models/iris');
      assert.is(said.isvcUid, 'uid-1');
      assert.is(said.revision, 'rev-1');
      assert.ok((said.uptimeMs as number) > 0);
      assert.equal(said.attainment, { share: 1, requests: 1 });
      assert.is((said.arrivals as number[]).length, 60);
    }));
});
