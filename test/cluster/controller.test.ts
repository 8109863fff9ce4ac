import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { writesIn } from './support/audit.ts';
import {
  applyAsUser,
  get,
  kubectl,
  type Live,
  list,
  livePods,
  patch,
  ready,
  temporaryNamespace,
  until,
} from './support/cluster.ts';
import { figure, isFullRun } from './support/figures.ts';
import { installPaceline } from './support/paceline.ts';
import { ask, predict } from './support/requests.ts';
import { hostOf, inferenceService } from './support/services.ts';

const selector = 'serving.kserve.io/inferenceservice=steered';
const prefix = 'autoscaling.knative.dev/';

interface Policy {
  status?: {
    conditions?: { type: string; status: string; reason: string; message: string }[];
    plan?: { reason: string; replicas: number; message: string };
  };
}

interface Revision {
  metadata: { annotations: Record<string, string> };
}

/** What Knative and we both have a hand in, by its version. */
async function versions(namespace: string): Promise<string[]> {
  const objects = await list('inferenceservice,ksvc,revision,podautoscaler,inferencepolicy,deployment', namespace);
  return objects.map(({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.resourceVersion}`);
}

suite('the controller on the cluster', (test) => {
  const space = { name: '', remove: async () => {} };
  let first: Live<Revision>;
  /** What KServe wrote into the revision. */
  let made: Record<string, string> = {};
  let host = '';

  const policy = () => get<Policy>('inferencepolicy', space.name, 'steered');
  const condition = async (type: string) => (await policy()).status?.conditions?.find((each) => each.type === type);
  const revision = () => get<Revision>('revision', space.name, first.metadata.name);
  const setting = async (field: string) => (await revision()).metadata.annotations[prefix + field];

  /** Open-loop load until it is stopped; says how many calls were answered in time. */
  function load(rate: number) {
    let stop = false;
    let sent = 0;
    let inTime = 0;
    let wrong = 0;
    const calls: Promise<void>[] = [];
    const run = async () => {
      const began = Date.now();
      while (!stop) {
        while (sent < ((Date.now() - began) * rate) / 1000) {
          const number = sent++;
          const sentAt = Date.now();
          calls.push(
            predict(host, 'steered', [[number, 1]]).then(
              ([answer]) => {
                if (answer !== number + 1) wrong++;
                else if (Date.now() - sentAt <= 1000) inTime++;
              },
              () => {
                wrong++;
              },
            ),
          );
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      await Promise.all(calls);
      return { sent, inTime, wrong };
    };
    const done = run();
    return {
      end: () => {
        stop = true;
        return done;
      },
    };
  }

  test.before(async () => {
    await installPaceline();
    Object.assign(space, await temporaryNamespace('controller'));
    host = hostOf.inferenceService(space.name, 'steered', 'Knative');
    await applyAsUser(
      inferenceService(space.name, 'steered', {
        mode: 'Knative',
        annotations: { 'paceline.dev/slo': '1s' },
        model: { BASE_MS: 50, SLOPE_MS: 5 },
        predictor: { maxReplicas: 6 },
      }),
    );
    await ready('inferenceservice', space.name, 'steered');
    first = (await list<Revision>('revision', space.name))[0] as Live<Revision>;
    // The revision itself may have been steered already.
    const { spec } = await get<{ spec: { template: Revision } }>('ksvc', space.name, 'steered-predictor');
    made = spec.template.metadata.annotations;
  });
  test.after(() => space.remove());

  test('makes a policy that says that its pods have the companion', async () => {
    await until(
      'the policy to be there and Injected',
      async () => (await condition('Injected'))?.status === 'True',
      30_000,
    );
    assert.is((await condition('Accepted'))?.status, 'True');
  });

  test('steers the revision under load: annotations reach the PodAutoscaler, and there is no new revision', async () => {
    const before = (await livePods(space.name, selector)).length;
    const busy = load(60);
    await until('the plan to be enforced', async () => (await condition('Enforced'))?.status === 'True', 60_000);
    await until('the revision to be steered', async () => (await setting('paceline-original')) !== undefined, 30_000);
    const target = await setting('target');
    await until(
      'the PodAutoscaler to follow',
      async () =>
        (await get<Revision>('podautoscaler', space.name, first.metadata.name)).metadata.annotations[
          `${prefix}target`
        ] === target,
      10_000,
    );
    await new Promise((resolve) => setTimeout(resolve, 20_000));
    const { sent, inTime, wrong } = await busy.end();
    figure('requests at 60/s', sent);
    figure('answered within 1 s', inTime / sent);
    assert.is(wrong, 0);
    assert.is((await list('revision', space.name)).length, 1);
    figure('pods before and after', `${before} -> ${(await livePods(space.name, selector)).length}`);
    figure('plan', (await policy()).status?.plan?.message ?? 'none');
  });

  test('writing to a revision does not touch its pods', async () => {
    const pods = await livePods(space.name, selector);
    const restarts = pods.flatMap(
      ({ status }) => status.containerStatuses?.map(({ restartCount }) => restartCount) ?? [],
    );
    assert.equal(
      restarts.filter((count) => count > 0),
      [],
    );
    for (const { metadata } of pods) {
      const keys = Object.keys((metadata as { annotations?: Record<string, string> }).annotations ?? {});
      assert.equal(
        keys.filter((key) => key.startsWith(prefix) || key === 'paceline.dev/original'),
        [],
      );
    }
    assert.is((await list('replicasets', space.name, selector)).length, 1);
  });

  test('at steady load nobody writes again and again: Knative, KServe and Paceline do not fight', async () => {
    const busy = load(20);
    try {
      // What the change of load has set going comes to its end first.
      let [last, sinceMs] = ['', Date.now()];
      const quiet = async () => {
        const now = (await versions(space.name)).join('\n');
        if (now !== last) [last, sinceMs] = [now, Date.now()];
        return Date.now() - sinceMs >= 20_000;
      };
      await until('20 s without a write', quiet, isFullRun ? 600_000 : 240_000);
      const seconds = isFullRun ? 600 : 180;
      const beganMs = Date.now();
      const writes = new Map<string, number>();
      while (Date.now() - beganMs < seconds * 1000) {
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        const now = (await versions(space.name)).join('\n');
        const written = now.split('\n').filter((each) => !last.split('\n').includes(each));
        for (const each of written) {
          const object = each.slice(0, each.lastIndexOf(' '));
          writes.set(object, (writes.get(object) ?? 0) + 1);
        }
        last = now;
      }
      figure(`writes in ${seconds} s at steady load`, JSON.stringify([...writes]));
      const repeated = [...writes].filter(([, count]) => count > 1);
      const told = writesIn(space.name, beganMs).map(
        ({ atMs, verb, object, who }) => `${((atMs - beganMs) / 1000).toFixed(0)} s: ${who} ${verb} ${object}`,
      );
      assert.equal(repeated, [], told.join('\n'));
    } finally {
      await busy.end();
    }
  });

  test('paceline off: companions pass through within five seconds, and the revision is as it was', async () => {
    const began = Date.now();
    await patch('inferencepolicy', space.name, 'steered', { spec: { mode: 'off' } });
    const [pod] = await livePods(space.name, selector);
    const mode = async () => {
      const answer = await ask({
        address: pod?.status.podIP as string,
        port: 9086,
        host: 'companion',
        path: '/signals',
      });
      return (JSON.parse(answer.text) as { mode: string }).mode;
    };
    await until('the companion to pass through', async () => (await mode()) === 'off', 5_000);
    figure('off reached a companion after', Date.now() - began, 'ms');
    await until(
      'the revision to be given back',
      async () => (await setting('paceline-original')) === undefined,
      10_000,
    );
    assert.equal(await setting('min-scale'), made[`${prefix}min-scale`]);
    assert.equal(await setting('target'), made[`${prefix}target`]);
    await patch('inferencepolicy', space.name, 'steered', { spec: { mode: null } });
    await until('to steer again', async () => (await setting('paceline-original')) !== undefined, 30_000);
  });

  test('a controller that is killed leaves everything as it is, and another one goes on', async () => {
    const before = await setting('target');
    await kubectl([
      '-n',
      'paceline-system',
      'delete',
      'pods',
      '-l',
      'app.kubernetes.io/name=paceline',
      '--grace-period=0',
      '--force',
    ]);
    assert.is(await setting('target'), before);
    const began = Date.now();
    const busy = load(20);
    await patch('inferencepolicy', space.name, 'steered', { spec: { slo: '900ms' } });
    await until(
      'the new leader to decide',
      async () =>
        (await get<{ status?: { slo?: string } }>('inferencepolicy', space.name, 'steered')).status?.slo?.startsWith(
          '900ms',
        ) === true,
      60_000,
    );
    figure('decided again after the death of all replicas', Date.now() - began, 'ms');
    assert.is((await busy.end()).wrong, 0);
  });

  test('the annotation goes: what was steered is given back and the policy is gone', async () => {
    await patch('inferenceservice', space.name, 'steered', { metadata: { annotations: { 'paceline.dev/slo': null } } });
    await until('the policy to be gone', async () => (await list('inferencepolicy', space.name)).length === 0, 30_000);
    assert.is(await setting('paceline-original'), undefined);
    assert.equal(await setting('min-scale'), made[`${prefix}min-scale`]);
  });
});
