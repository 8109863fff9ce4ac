import * as assert from 'uvu/assert';
import type { HeardPod, RolloutInput } from '../../../src/controller/reconcile/rollout-step.ts';
import { readRolloutState } from '../../../src/controller/rollout/state.ts';
import { Rollout } from '../../../src/controller/rollout/step.ts';
import { RolloutEvidence } from '../../../src/kernels/rollout-evidence.ts';
import { KubeError } from '../../../src/kube/kube-error.ts';
import type { InferencePolicyStatus } from '../../../src/policy/inference-policy.ts';
import { suite } from '../../support/suite.ts';
import { WriteRecorder } from '../../support/write-recorder.ts';

type Status = NonNullable<InferencePolicyStatus['rollout']>;

/** A service whose second revision is Ready at 0 %, with what the pass hands to the rollout. */
class Pass {
  readonly recorder = new WriteRecorder();
  readonly stored: Status[] = [];
  readonly order: string[] = [];
  nowMs = 1_000_000;
  transitions = 1;
  percent = 0;
  mode: 'act' | 'advise' = 'act';
  failStore = false;
  requests = 0;

  input(): RolloutInput {
    const pod = (name: string, revision: string, requests: number): HeardPod =>
      ({
        name,
        uid: name,
        revision,
        ready: true,
        signals: {
          uptimeMs: this.nowMs,
          latencyMs: [],
          totals: { requests, attained: requests, missed: 0, failed: 0, batches: 99, items: requests },
        },
      }) as unknown as HeardPod;
    const context = this.recorder.context;
    return {
      observed: {
        target: { group: 'serving.kserve.io', kind: 'InferenceService', namespace: 'ml', name: 'm' },
        uid: 'uid-m',
        resourceVersion: '7',
        annotations: {},
        deploymentMode: 'knative',
        autoscaler: 'knative',
        minReplicas: 1,
        maxReplicas: 0,
        containerConcurrency: 0,
        canaryTrafficPercent: this.percent,
        latestCreatedRevision: 'm-2',
        latestReadyRevision: 'm-2',
        latestRolledoutRevision: 'm-1',
        revisions: [
          { name: 'm-1', trafficPercent: 100 - this.percent },
          { name: 'm-2', trafficPercent: this.percent },
        ],
        deployment: undefined,
        pods: [],
      },
      policy: { rollout: 'auto', mode: this.mode, sloQuantile: 0.99 },
      plan: undefined,
      pods: [pod('a', 'm-1', 40 * this.requests), pod('b', 'm-2', 4 * this.requests)],
      prices: new Map(),
      status: this.stored.at(-1),
      store: async (status: Status) => {
        if (this.failStore) throw new KubeError(503, 'Unavailable', 'as the test says');
        this.stored.push(status);
        this.order.push(`store ${status.canaryPercent}`);
      },
      context: {
        ...context,
        nowMs: this.nowMs,
        transitions: this.transitions,
        api: {
          ...context.api,
          get: async () => {
            throw new KubeError(404, 'NotFound', 'none');
          },
          mergePatch: async (...given: Parameters<typeof context.api.mergePatch>) => {
            const answer = await context.api.mergePatch(...given);
            const { percent } = {
              percent: (given[2] as { spec: { predictor: { canaryTrafficPercent: number } } }).spec.predictor
                .canaryTrafficPercent,
            };
            this.order.push(`write ${percent}`);
            this.percent = percent;
            return answer;
          },
        },
      },
    } as unknown as RolloutInput;
  }

  async seconds(rollout: Rollout, count: number): Promise<void> {
    for (let second = 0; second < count; second++) {
      this.nowMs += 1000;
      this.requests++;
      await rollout.look(this.input());
    }
  }
}

suite('the rollout in a pass', (test) => {
  test('writes nothing where what it means to do could not be stored', async () => {
    const pass = new Pass();
    const rollout = new Rollout(new RolloutEvidence());
    pass.failStore = true;
    for (let look = 0; look < 8; look++) {
      pass.nowMs += 1000;
      await rollout.look(pass.input()).catch(() => {});
    }
    assert.equal(pass.order, []);
    pass.failStore = false;
    await pass.seconds(rollout, 8);
    assert.equal(
      pass.order.filter((each) => each.startsWith('write')),
      ['write 5'],
    );
    assert.is(readRolloutState(pass.stored.at(-1)?.state)?.reverts, 0);
  });

  test('writes nothing in mode advise', async () => {
    const pass = new Pass();
    pass.mode = 'advise';
    await pass.seconds(new Rollout(new RolloutEvidence()), 60);
    assert.equal(pass.recorder.writes, []);
  });

  test('stores each share before it writes it', async () => {
    const pass = new Pass();
    await pass.seconds(new Rollout(new RolloutEvidence()), 400);
    const writes = pass.order.filter((each) => each.startsWith('write'));
    assert.equal(writes, ['write 5', 'write 10', 'write 25', 'write 50', 'write 100']);
    for (const write of writes) {
      const at = pass.order.indexOf(write);
      assert.ok(pass.order.lastIndexOf(write.replace('write', 'store'), at) >= 0, write);
    }
  });

  test('does not store every second: on moves, and each 10 s of evidence', async () => {
    const pass = new Pass();
    await pass.seconds(new Rollout(new RolloutEvidence()), 100);
    assert.ok(pass.stored.length < 30, `${pass.stored.length} times in 100 s`);
  });

  test('goes on after a restart, and after the lease was somewhere else, from what was stored', async () => {
    const pass = new Pass();
    const first = new Rollout(new RolloutEvidence());
    await pass.seconds(first, 60);
    const { percent } = pass;
    assert.ok(percent >= 5);
    await pass.seconds(new Rollout(new RolloutEvidence()), 3);
    assert.ok(pass.percent >= percent, 'the walk goes on where it was');
    pass.transitions = 3;
    await pass.seconds(first, 400);
    assert.is(pass.percent, 100);
    assert.is(readRolloutState(pass.stored.at(-1)?.state)?.reverts, 0);
  });

  test('a successor that nodes have no room for is given as many replicas as fit, and not before a node could have come', async () => {
    const pod = (revision: string, node: string | undefined) => ({
      ...{ revision, node, ending: false, createdMs: 1_000_000 },
      ...(revision === 'm-1' ? { readyMs: 1 } : {}),
    });
    const floorAfter = async (ms: number): Promise<number | undefined> => {
      const pass = new Pass();
      pass.nowMs += ms;
      const { observed, ...rest } = pass.input();
      const old = Array.from({ length: 4 }, () => pod('m-1', 'node'));
      const pods = [...old, pod('m-2', 'node'), pod('m-2', 'node'), pod('m-2', 'node'), pod('m-2', undefined)];
      const { floors } = await new Rollout(new RolloutEvidence()).look({
        ...rest,
        policy: { ...rest.policy, rollout: 'manual' },
        pods: old.map(({ revision }, i) => ({ name: `${i}`, uid: `${i}`, revision, ready: true, signals: undefined })),
        observed: {
          ...observed,
          canaryTrafficPercent: undefined,
          latestReadyRevision: 'm-1',
          pods: pods as never,
        },
      });
      return floors.find(({ why }) => why === 'successor')?.minReplicas;
    };
    assert.is(await floorAfter(290_000), 4);
    assert.is(await floorAfter(310_000), 3);
  });

  test('says in the status what people ask: who, how much, why, and the evidence', async () => {
    const pass = new Pass();
    await pass.seconds(new Rollout(new RolloutEvidence()), 60);
    const status = pass.stored.at(-1);
    assert.is(status?.phase, 'walking');
    assert.is(status?.stableRevision, 'm-1');
    assert.is(status?.canaryRevision, 'm-2');
    assert.match(status?.message ?? '', /m-2 gets \d+ %: .*requests in \d+ blocks/);
    assert.ok((status?.state?.length ?? 0) < 4096);
  });

  test('gives back without moving traffic', async () => {
    const pass = new Pass();
    const rollout = new Rollout(new RolloutEvidence());
    pass.percent = 25;
    await rollout.giveBack(pass.input());
    assert.equal(pass.order, []);
    pass.percent = 100;
    await rollout.giveBack(pass.input());
    assert.equal(pass.order, ['write null']);
  });
});
