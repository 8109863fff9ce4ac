import * as assert from 'uvu/assert';
import { Steer } from '../../../src/controller/actuators/steer.ts';
import type { ObservedService } from '../../../src/controller/reconcile/observed.ts';
import { projectRevision } from '../../../src/controller/reconcile/projections.ts';
import { kinds } from '../../../src/kube/objects.ts';
import type { ServicePlan } from '../../../src/planner/service-plan.ts';
import { ApiDouble } from '../../support/api-double.ts';
import { QuietLog } from '../../support/quiet-log.ts';
import { suite } from '../../support/suite.ts';

const at = { namespace: 'a', name: 'm-predictor-00001' };

function rig(annotations: Record<string, string> = {}) {
  const api = new ApiDouble();
  const labels = { 'serving.kserve.io/inferenceservice': 'm', component: 'predictor' };
  api.seed(kinds.revision, { metadata: { ...at, labels, annotations } });
  let nowMs = 1_000_000;
  /** What Knative has carried over; nothing to see while that is not asked for. */
  let carried: Record<string, string> | undefined;
  let steer = new Steer();
  const observed = (maxReplicas = 0): ObservedService => {
    const revision = projectRevision(api.peek(kinds.revision, at) as never);
    const podAutoscaler = carried && { annotations: carried };
    return { revisions: [{ ...revision, podAutoscaler, trafficPercent: 100 }], maxReplicas } as never;
  };
  const context = (leads = true) => ({
    api,
    log: new QuietLog(),
    nowMs,
    monotonicMs: nowMs,
    leads: () => leads,
    transitions: 1,
  });
  return {
    api,
    apply: (knative: object, floors: { revision: string; minReplicas: number }[] = [], leads = true, max = 0) => {
      const full = { target: 20, minScale: 2, maxScale: 0, targetBurstCapacity: 0, ...knative };
      const plan = { revisions: [{ name: at.name, knative: full }], knative: full } as unknown as ServicePlan;
      return steer.apply({ plan, floors }, observed(max), context(leads));
    },
    giveBack: () => steer.giveBack(observed(), context()),
    later: (ms: number) => {
      nowMs += ms;
    },
    annotations: () => api.peek(kinds.revision, at)?.metadata.annotations ?? {},
    carry: (annotations: Record<string, string>) => {
      carried = annotations;
    },
    restart: () => {
      steer = new Steer();
    },
  };
}

suite('steer', (test) => {
  test('writes nothing once the lease is lost', async () => {
    const { api, apply } = rig();
    assert.is((await apply({}, [], false)).refused?.reason, 'NotLeader');
    assert.equal(api.writes, []);
  });

  test('a revision that changed since it was read is a conflict, not overwritten', async () => {
    const { api, apply } = rig();
    api.before = (verb) => {
      if (verb !== 'apply') return;
      api.before = undefined;
      api.edit(kinds.revision, at, { metadata: { annotations: { other: 'x' } } });
    };
    try {
      await apply({});
      assert.unreachable();
    } catch (error) {
      assert.is((error as { status: number }).status, 409);
    }
  });

  test('a Knative that carries nothing over is found out though we write again and again, and start anew', async () => {
    const { apply, later, carry, restart } = rig();
    carry({});
    const refusals = async (minutes: number, minScale: (minute: number) => number) => {
      const reasons: (string | undefined)[] = [];
      for (let minute = 0; minute <= minutes; minute++) {
        if (minute > 0) later(60_000);
        reasons.push((await apply({ minScale: minScale(minute) })).refused?.reason);
      }
      return reasons;
    };
    const changing = await refusals(5, (minute) => 2 + minute);
    assert.equal(changing.slice(0, 4), Array(4).fill(undefined), 'it may be busy with others');
    assert.equal(changing.slice(4), ['Unsupported', 'Unsupported']);
    restart();
    assert.equal(await refusals(3, () => 7), [undefined, undefined, undefined, 'Unsupported']);
  });

  test('a Knative that is minutes behind is not, as long as anything of ours arrives', async () => {
    const { apply, later, carry, annotations } = rig();
    const behind: Record<string, string>[] = [{}, {}];
    for (let minute = 0; minute < 10; minute++) {
      carry(behind[minute] as Record<string, string>);
      assert.is((await apply({ minScale: 2 + minute })).refused, undefined, `minute ${minute}`);
      behind.push(annotations());
      later(60_000);
    }
  });

  test('what would be nearly the same is not written', async () => {
    const { api, apply } = rig();
    await apply({ target: 20 });
    for (const target of [20.4, 21.9, 18.1, 20]) assert.equal((await apply({ target })).changes, []);
    assert.is(api.writes.length, 1);
    assert.is((await apply({ target: 23 })).changes.length, 1);
  });

  test('finer settings are written only so often, more replicas always', async () => {
    const { api, apply, later } = rig();
    for (let i = 0; i < 20; i++) {
      await apply({ target: 20 * 1.3 ** i });
      later(1_000);
    }
    const writes = api.writes.length;
    assert.ok(writes <= 8, `${writes} writes in 20 s`);
    for (let minScale = 3; minScale < 10; minScale++) {
      const { refused, changes } = await apply({ minScale });
      assert.is(refused, undefined);
      assert.ok(changes.some((change) => change.includes(`min-scale ${minScale - 1} -> ${minScale}`)));
    }
  });

  test('a floor holds over the plan, within the bound', async () => {
    const { apply, annotations } = rig();
    await apply({ minScale: 1 }, [{ revision: at.name, minReplicas: 20 }], true, 8);
    assert.is(annotations()['autoscaling.knative.dev/min-scale'], '8');
  });

  test('values are what Knative accepts', async () => {
    const { apply, annotations } = rig();
    await apply({ target: 0.0001, minScale: 1.4, maxScale: 7.6, targetBurstCapacity: -5, windowSec: 9_999 });
    const values = annotations();
    assert.is(values['autoscaling.knative.dev/target'], '0.01');
    assert.is(values['autoscaling.knative.dev/min-scale'], '1');
    assert.is(values['autoscaling.knative.dev/max-scale'], '8');
    assert.is(values['autoscaling.knative.dev/target-burst-capacity'], '-1');
    assert.is(values['autoscaling.knative.dev/window'], '3600s');
  });

  test('an alias of KServe or a user stays beside the hyphenated key, which wins, and is alone again afterwards', async () => {
    const before = { 'autoscaling.knative.dev/minScale': '3', 'autoscaling.knative.dev/target': '7' };
    const { apply, giveBack, annotations } = rig(before);
    await apply({ minScale: 5 });
    assert.is(annotations()['autoscaling.knative.dev/min-scale'], '5');
    assert.is(annotations()['autoscaling.knative.dev/minScale'], '3');
    await giveBack();
    assert.equal(annotations(), before);
  });

  test('every annotation that it writes stays out of the pod template', async () => {
    const { api, apply } = rig();
    await apply({ maxScale: 5, windowSec: 30 });
    const [write] = api.writes;
    const { metadata } = (write as { body: unknown }).body as { metadata: { annotations: object; labels?: object } };
    assert.is(metadata.labels, undefined);
    for (const key of Object.keys(metadata.annotations)) assert.match(key, /^autoscaling\.knative\.dev\//);
  });
});
