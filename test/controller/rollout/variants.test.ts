import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { splitOf, variantGroupLabel } from '../../../src/controller/actuators/route.ts';
import type { DeclaredVariant, RolloutInput } from '../../../src/controller/reconcile/rollout-step.ts';
import { VariantRoutes } from '../../../src/controller/rollout/variant-routes.ts';
import { variantGroup } from '../../../src/controller/rollout/variants.ts';
import { KubeError } from '../../../src/kube/kube-error.ts';
import { type KubeObject, kinds, type ResourceKind } from '../../../src/kube/objects.ts';
import { propertyRuns } from '../../support/property-runs.ts';
import { suite } from '../../support/suite.ts';
import { WriteRecorder } from '../../support/write-recorder.ts';

type Name = 'small' | 'large' | 'tiny';

/** Two variants of `digits`: `small` is quick, `large` is four times as slow and more accurate. */
class Group {
  readonly recorder = new WriteRecorder();
  routes = new VariantRoutes();
  nowMs = 1_000_000;
  /** What a jump of the wall clock has added. */
  skewMs = 0;
  route: KubeObject | undefined;
  /** Services that there are, with the group that they name. */
  readonly services = new Map<string, string | undefined>([
    ['small', 'digits'],
    ['large', 'digits'],
  ]);
  /** Revisions of services that have others than their first. */
  readonly revisions = new Map<string, readonly string[]>();
  readonly off = new Set<string>();
  ready = { small: true, large: true, tiny: true };
  transitions = 1;
  mode: 'act' | 'advise' = 'act';
  minAccuracy: number | undefined;
  /** Items a second of all together. */
  load = 40;
  readonly learned = new Set<Name>(['small', 'large', 'tiny']);
  readonly replicas = { small: 1, large: 1, tiny: 1 };
  /** Whose companions say nothing. */
  readonly deaf = new Set<Name>();
  unreadable = false;

  async pass(name: Name, variantOf: string | undefined = 'digits') {
    if (this.services.has(name)) this.services.set(name, variantOf);
    const revision = `${name}-predictor-00001`;
    const slow = name === 'large' ? 4 : 1;
    const latencyMs = [1, 4, 16].map((items) => {
      const expected = (10 + items) * slow;
      return { items, expected, quantile: expected * 1.2 };
    });
    const state = {
      name: revision,
      latencyMs: this.learned.has(name) ? latencyMs : [],
      parallel: 1,
      arrivalRate: this.load / 2,
      attainment: Number.NaN,
      waiting: 0,
      readyReplicas: this.replicas[name],
      pendingReplicas: 0,
      price: slow,
      accuracy: name === 'large' ? 0.97 : 0.9,
    };
    const problem = { revisions: [state], demand: { perSecond: new Array(60).fill(this.load / 2) } };
    const { context } = this.recorder;
    return await this.routes.look({
      observed: {
        target: { group: 'serving.kserve.io', kind: 'InferenceService', namespace: 'ml', name },
        uid: `uid-${name}`,
        deploymentMode: 'knative',
        maxReplicas: 0,
        containerConcurrency: 0,
        latestRolledoutRevision: revision,
        revisions: [{ name: revision, ready: this.ready[name] }],
      },
      policy: {
        variantOf,
        mode: this.mode,
        sloMs: 500,
        sloQuantile: 0.99,
        patience: 'auto',
        maxBatchSize: 64,
        accuracy: name === 'large' ? 0.97 : 0.9,
        minAccuracy: this.minAccuracy,
      },
      plan: undefined,
      problem: this.deaf.has(name) ? undefined : problem,
      pods: [],
      prices: new Map(),
      variantsOf: (of: string) => this.#variantsOf(of),
      context: {
        ...context,
        nowMs: this.nowMs + this.skewMs,
        monotonicMs: this.nowMs,
        transitions: this.transitions,
        api: {
          ...context.api,
          get: async (kind: ResourceKind) => this.#get(kind),
          apply: async (...given: Parameters<typeof context.api.apply>) => {
            this.route = await context.api.apply(...given);
            return this.route;
          },
        },
      },
    } as unknown as RolloutInput);
  }

  async passes(count: number, names: readonly Name[] = ['small', 'large']): Promise<void> {
    for (let pass = 0; pass < count; pass++) {
      this.nowMs += 5_000;
      for (const name of names) await this.pass(name);
    }
  }

  /** Gives the Route these percentages of the services' first revisions, or of those that are named. */
  seed(percents: Record<string, number>): void {
    const traffic = Object.entries(percents).map(([name, percent]) => {
      return { revisionName: name.includes('-') ? name : `${name}-predictor-00001`, percent };
    });
    const metadata = { name: 'digits', namespace: 'ml', labels: { [variantGroupLabel]: 'digits' } };
    this.route = { metadata, spec: { traffic } };
  }

  /** The Route's percentages by the service's name. */
  get split(): Record<string, number> {
    const split = this.route ? splitOf(this.route) : [];
    return Object.fromEntries(split.map(({ revision, percent }) => [revision.split('-')[0], percent]));
  }

  #get(kind: ResourceKind): KubeObject {
    if (this.unreadable) throw new KubeError(403, 'Forbidden', 'routes is forbidden');
    if (kind === kinds.route && this.route) return this.route;
    throw new KubeError(404, 'NotFound', 'none');
  }

  #variantsOf(group: string): DeclaredVariant[] {
    return [...this.services]
      .filter(([, variantOf]) => variantOf === group)
      .map(([name]) => ({
        owner: { apiVersion: 'serving.kserve.io/v1beta1', kind: 'InferenceService', name, uid: `uid-${name}` },
        revisions: this.revisions.get(name) ?? [`${name}-predictor-00001`],
        passes: !this.off.has(name),
      }));
  }
}

suite('variants', (test) => {
  test('get no Route without a group, in mode advise, or while none is Ready', async () => {
    const group = new Group();
    await group.pass('small', '');
    group.mode = 'advise';
    await group.passes(4);
    const cold = new Group();
    cold.ready = { small: false, large: false, tiny: false };
    await cold.passes(4);
    assert.equal([...group.recorder.writes, ...cold.recorder.writes], []);
  });

  test('share one Route that names both owners, and at rest it is not written again', async () => {
    const group = new Group();
    await group.passes(30);
    assert.is(group.route?.metadata.labels?.[variantGroupLabel], 'digits');
    assert.is(group.route?.metadata.ownerReferences?.length, 2);
    const percents = splitOf(group.route as KubeObject).map(({ percent }) => percent);
    assert.is(
      percents.reduce((sum, each) => sum + each, 0),
      100,
    );
    const writes = group.recorder.writes.length;
    await group.passes(30);
    assert.is(group.recorder.writes.length, writes);
  });

  test('move to the one that meets the floor, in steps', async () => {
    const group = new Group();
    group.ready.large = false;
    await group.passes(4);
    assert.equal(splitOf(group.route as KubeObject), [{ revision: 'small-predictor-00001', percent: 100 }]);
    group.ready.large = true;
    group.minAccuracy = 0.95;
    await group.passes(2);
    const first = splitOf(group.route as KubeObject).find(({ revision }) => revision.startsWith('large'))?.percent ?? 0;
    assert.ok(first <= 25, `${first} % at once`);
    await group.passes(200);
    assert.ok(splitOf(group.route as KubeObject).some(({ revision }) => revision.startsWith('large')));
  });

  test('one that has shown nothing yet is tried with a little, and gets the rest once it has', async () => {
    const group = new Group();
    await group.passes(4);
    group.learned.delete('large');
    group.routes = new VariantRoutes();
    group.minAccuracy = 0.95;
    await group.passes(40);
    assert.equal(group.split, { small: 95, large: 5 });
    group.learned.add('large');
    await group.passes(40);
    assert.equal(group.split, { large: 100 });
  });

  test('one that nobody has chosen is tried too, or a cheaper one would never be known', async () => {
    const group = new Group();
    group.seed({ large: 100 });
    group.learned.delete('small');
    await group.passes(4);
    assert.equal(group.split, { large: 95, small: 5 });
    group.learned.add('small');
    await group.passes(200);
    assert.equal(group.split, { small: 100 });
  });

  test('none is tried that is not accurate enough, or has no pods', async () => {
    const group = new Group();
    group.seed({ large: 100 });
    group.minAccuracy = 0.95;
    group.learned.delete('small');
    await group.passes(20);
    assert.equal(group.split, { large: 100 });
    group.minAccuracy = undefined;
    group.replicas.small = 0;
    await group.passes(20);
    assert.equal(group.split, { large: 100 });
  });

  test('where little is asked a new one is known soon: it is tried with so many items a second, not with a share', async () => {
    const group = new Group();
    group.seed({ small: 100 });
    group.minAccuracy = 0.95;
    group.load = 1;
    group.learned.delete('large');
    await group.passes(12);
    assert.equal(group.split, { small: 50, large: 50 });
  });

  test('one that is to serve and has too few pods gets them before its share', async () => {
    const group = new Group();
    group.seed({ small: 100 });
    group.minAccuracy = 0.95;
    group.replicas.large = 0;
    await group.passes(4);
    assert.equal(group.split, { small: 100 });
    const { floors } = await group.pass('large');
    assert.is(floors.length, 1);
    assert.ok((floors[0]?.minReplicas ?? 0) >= 1);
    assert.equal((await group.pass('small')).floors, [], 'a floor is of its own revision only');
    group.replicas.large = 3;
    await group.passes(60);
    assert.equal(group.split, { large: 100 });
    assert.equal((await group.pass('large')).floors, [], 'with all of its share its own requests ask for enough');
  });

  test('one of which nobody is heard any more holds the Route as it is after a minute', async () => {
    const group = new Group();
    group.seed({ small: 80, large: 20 });
    group.deaf.add('small');
    await group.passes(2);
    assert.equal(group.split, { small: 80, large: 20 });
    group.deaf.clear();
    group.minAccuracy = 0.95;
    await group.passes(4);
    const before = group.split;
    group.deaf.add('small');
    await group.passes(14);
    const held = group.split;
    await group.passes(40);
    assert.equal(group.split, held);
    assert.ok((held.large ?? 0) >= (before.large ?? 0));
  });

  test('a Route that cannot be read is said once, and the pass goes on', async () => {
    const group = new Group();
    group.unreadable = true;
    const said: string[] = [];
    for (let pass = 0; pass < 9; pass++) {
      group.nowMs += 5_000;
      for (const name of ['small', 'large'] as const)
        said.push(...(await group.pass(name)).notes.map(({ message }) => message));
    }
    assert.is(said.length, 1, said.join('\n'));
    assert.match(said[0] as string, /Route ml\/digits stands as it is: .*routes is forbidden/);
  });

  for (const [what, change] of [
    ['is deleted', (group: Group) => void group.services.delete('large')],
    ['goes to another group', (group: Group) => void group.services.set('large', 'letters')],
  ] as const) {
    test(`one that ${what} leaves the Route in one write, once it is silent or known to have left`, async () => {
      const group = new Group();
      group.minAccuracy = 0.95;
      await group.passes(40);
      assert.is(group.split.large, 100);
      change(group);
      await group.passes(30, ['small']);
      assert.equal(group.split, { small: 100 });
    });
  }

  test('one that names another group in its own pass is out with the next decision', async () => {
    const group = new Group();
    group.minAccuracy = 0.95;
    await group.passes(40);
    await group.pass('large', 'letters');
    await group.passes(3, ['small']);
    assert.equal(group.split, { small: 100 });
  });

  test('one that is only silent, as in mode off, keeps what it has', async () => {
    const group = new Group();
    group.minAccuracy = 0.95;
    await group.passes(40);
    await group.passes(60, ['small']);
    assert.is(group.split.large, 100);
  });

  test('one that is only silent keeps nobody in the Route who has left, and its silence is said once', async () => {
    const group = new Group();
    group.services.set('tiny', 'digits');
    group.seed({ small: 40, large: 40, tiny: 20 });
    group.off.add('small');
    group.services.delete('large');
    const said: string[] = [];
    for (let pass = 0; pass < 10; pass++) {
      group.nowMs += 5_000;
      said.push(...(await group.pass('tiny')).notes.map(({ reason }) => reason));
    }
    assert.equal(group.split, { small: 67, tiny: 33 });
    assert.equal(said, ['VariantsSplit', 'VariantsHeld']);
  });

  test('a revision of a service that was deleted and made anew leaves at once', async () => {
    const group = new Group();
    group.seed({ small: 40, 'large-predictor-00004': 60 });
    group.minAccuracy = 0.95;
    await group.pass('small');
    await group.pass('large');
    assert.equal(group.split, { small: 75, large: 25 });
  });

  test('where nobody is left, or nobody is Ready, the Route stands as it is, and that is said', async () => {
    const group = new Group();
    await group.passes(4);
    const before = group.split;
    assert.equal((await group.pass('small', '')).notes, []);
    const [note] = (await group.pass('large', '')).notes;
    assert.match(note?.message ?? '', /Route ml\/digits stands as it is/);
    assert.equal(group.split, before);
    const cold = new Group();
    cold.seed({ small: 100 });
    cold.ready.small = false;
    cold.services.delete('large');
    const said: string[] = [];
    for (let pass = 0; pass < 9; pass++) {
      cold.nowMs += 5_000;
      said.push(...(await cold.pass('small')).notes.map(({ message }) => message));
    }
    assert.equal(said, ['Route ml/digits stands as it is: no variant is Ready']);
    assert.equal(cold.split, { small: 100 });
  });

  test('a group without a Route is not begun by half of it, however late the other half is', async () => {
    const group = new Group();
    group.minAccuracy = 0.95;
    for (let pass = 0; pass < 12; pass++) {
      await group.pass('small');
      group.nowMs += 4_900;
    }
    assert.is(group.route, undefined);
    await group.pass('large');
    assert.equal(group.split, { large: 100 });
    // One whose passes fail is not waited for longer than it would be counted.
    const failing = new Group();
    await failing.passes(14, ['small']);
    assert.equal(failing.split, { small: 100 });
  });

  test('a lease that comes back finds what was told before it went too old', async () => {
    const group = new Group();
    group.seed({ small: 100 });
    group.minAccuracy = 0.95;
    await group.passes(1);
    const before = group.split;
    group.nowMs += 600_000;
    group.transitions = 3;
    await group.pass('small');
    assert.equal(group.split, before);
    await group.pass('large');
    assert.ok((group.split.large ?? 0) > (before.large ?? 0));
  });

  test('whatever restarts and jumps there are: the one that meets the floor never loses a share', async () => {
    const step = fc.oneof(
      fc.record({ pass: fc.constantFrom<Name>('small', 'large') }),
      fc.record({ wait: fc.integer({ min: 1, max: 90_000 }) }),
      fc.record({ jump: fc.integer({ min: -7_200_000, max: 7_200_000 }) }),
      fc.record({ lead: fc.constantFrom('anew', 'again') }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const group = new Group();
        group.seed({ small: 80, large: 20 });
        group.minAccuracy = 0.95;
        for (const each of steps) {
          const before = group.split.large ?? 0;
          if ('pass' in each) await group.pass(each.pass);
          else if ('wait' in each) group.nowMs += each.wait;
          else if ('jump' in each) group.skewMs += each.jump;
          else if (each.lead === 'anew') group.routes = new VariantRoutes();
          else group.transitions += 2;
          assert.ok((group.split.large ?? 0) >= before);
        }
        // And a group that is whole again goes on.
        await group.passes(60);
        assert.equal(group.split, { large: 100 });
      }),
      propertyRuns(60, 4),
    );
  });

  test('a leader that starts anew, and a clock that jumps, decide nothing from half of a group', async () => {
    const group = new Group();
    group.minAccuracy = 0.95;
    await group.passes(40);
    const before = group.split;
    for (const jumpMs of [0, 3_600_000, -7_200_000]) {
      group.skewMs += jumpMs;
      group.routes = new VariantRoutes();
      await group.pass('small');
      group.nowMs += 11_000;
      await group.pass('small');
      assert.equal(group.split, before, `${jumpMs} ms`);
      await group.passes(3);
      group.skewMs += jumpMs;
      await group.pass('small');
      assert.equal(group.split, before, `${jumpMs} ms, in the midst`);
    }
    // Decisions go on after a clock that went back.
    group.services.delete('large');
    await group.passes(40, ['small']);
    assert.equal(group.split, { small: 100 });
  });

  test('keep the revision that is left as a member until nothing goes there', () => {
    const owner = { apiVersion: 'serving.kserve.io/v1beta1', kind: 'InferenceService', name: 'small', uid: 'u' };
    const route: KubeObject = {
      metadata: { name: 'digits' },
      spec: { traffic: [{ revisionName: 'small-predictor-00001', percent: 100 }] },
    };
    const variant = { owner, revision: 'small-predictor-00002', ready: true, state: {} as never };
    const declared = [{ owner, revisions: ['small-predictor-00001', variant.revision], passes: true }];
    const { members } = variantGroup({ namespace: 'ml', name: 'digits', route, load: 1, declared }, [variant]);
    assert.equal(
      members.map(({ revision }) => revision),
      ['small-predictor-00002', 'small-predictor-00001'],
    );
  });
});
