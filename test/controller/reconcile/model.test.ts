import * as assert from 'uvu/assert';
import { knativeClass, knativeMetric, metricKey } from '../../../src/controller/actuators/autoscaler-class.ts';
import type { ReconcilePart } from '../../../src/controller/reconcile/part.ts';
import type { KubeApi } from '../../../src/kube/kube-api.ts';
import { type KubeObject, kinds } from '../../../src/kube/objects.ts';
import { podAutoscalerClass } from '../../../src/policy/service-view.ts';
import type { Write } from '../../support/api-double.ts';
import { ControllerRig, flaky, namespace, original } from '../../support/controller-rig.ts';
import { suite } from '../../support/suite.ts';

const first = 'digits-predictor-00001';
const steps = 60;
/** `PROPERTY_RUNS=20` tries twenty times as many. */
const histories = 8 * Number(process.env.PROPERTY_RUNS ?? 1);

/** A process of the controller: it leads for a while, and is stopped, or dies without a word, or hangs on as a ghost. */
interface Process {
  readonly part: ReconcilePart;
  leads: boolean;
}

/**
 * Histories of everything that may go wrong, each from its seed: failing requests, lost answers, lost watches, history
 * that is compacted, clocks that jump, processes that die at any point, two leaders, foreign writes, pods that lie.
 */
class History {
  readonly rig: ControllerRig;
  readonly #processes: Process[] = [];
  #transitions = 0;
  #trouble = 0.15;
  #foreign = 0;

  /** @param autoscalerClass who scales: Knative's own autoscaler, which is steered, or we. */
  constructor(
    seed: number,
    readonly autoscalerClass = knativeClass,
  ) {
    this.rig = new ControllerRig(seed);
  }

  async run(): Promise<void> {
    const { rig } = this;
    await rig.start(undefined, this.autoscalerClass);
    await this.#takeOver();
    flaky(rig, () => this.#trouble);
    for (let i = 0; i < steps; i++) {
      await this.#step();
      await rig.clock.advance(rig.chance() * 8_000);
      this.#check();
    }
  }

  /** Everything heals: what should hold afterwards does, and then nothing moves any more. */
  async heal(): Promise<void> {
    const { rig } = this;
    this.#trouble = 0;
    rig.signals = undefined;
    rig.load = 60;
    await this.#takeOver();
    // Stabilisation may take several minutes, and a companion that was told is told again.
    await rig.clock.advance(1_500_000);
    this.#check();
  }

  async end(): Promise<void> {
    for (const { part } of this.#processes) await part.stop();
    this.rig.stop();
  }

  get foreign(): number {
    return this.#foreign;
  }

  get #isOurs(): boolean {
    return this.autoscalerClass !== knativeClass;
  }

  async #step(): Promise<void> {
    const { rig } = this;
    const pods = rig.api.all(kinds.pod);
    const pod = pods[Math.floor(rig.chance() * pods.length)];
    switch (Math.floor(rig.chance() * 12)) {
      case 0:
        return rig.api.loseWatches(rig.chance() < 0.5 ? undefined : new Error('socket hang up'));
      case 1:
        rig.api.compact();
        return rig.api.loseWatches(new Error('socket hang up'));
      case 2:
        return rig.clock.jumpWall((rig.chance() - 0.5) * 7_200_000);
      case 3:
        return await this.#takeOver();
      case 4:
        if (pod) rig.api.remove(kinds.pod, pod.metadata);
        return;
      case 5:
        rig.signals = (truth) => (rig.chance() < 0.3 ? { status: 200, body: `${JSON.stringify(truth)}}` } : undefined);
        return;
      case 6:
        rig.signals = () => (rig.chance() < 0.5 ? { status: 302, body: '' } : undefined);
        return;
      case 7:
        if (rig.chance() > 0.2) return;
        this.#foreign++;
        if (this.#isOurs) {
          const replicas = Math.floor(rig.chance() * 9);
          return rig.api.edit(kinds.deployment, { namespace, name: `${first}-deployment` }, { spec: { replicas } });
        }
        return rig.api.edit(
          kinds.revision,
          { namespace, name: first },
          { metadata: { annotations: { 'autoscaling.knative.dev/min-scale': String(Math.floor(rig.chance() * 9)) } } },
        );
      case 8:
        return rig.api.bookmark();
      default:
        rig.load = rig.chance() < 0.2 ? 0 : rig.chance() * 400;
    }
  }

  /** Another process leads from now on. The one before was stopped, has died, or does not know yet. */
  async #takeOver(): Promise<void> {
    const { rig } = this;
    const before = this.#processes.at(-1);
    const process: { part?: ReconcilePart; leads: boolean } = { leads: true };
    if (before) {
      before.leads = false;
      const way = rig.chance();
      if (way < 0.4) await this.#stopped(before);
    }
    const trouble = this.#trouble;
    this.#trouble = 0;
    process.part = await rig.controller(() => process.leads, this.#transitions++, this.#fenced(process));
    this.#trouble = trouble;
    this.#processes.push(process as Process);
  }

  async #stopped({ part }: Process): Promise<void> {
    const stopping = part.stop();
    await this.rig.clock.advance(0);
    await stopping;
  }

  /** A process that leads no more writes nothing: it is refused here, and that is a failure of the fence. */
  #fenced(process: { leads: boolean }): KubeApi {
    const { api } = this.rig;
    const guarded = (verb: string): void => {
      if (!process.leads) this.ghostWrites.push(verb);
    };
    return new Proxy(api, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== 'function') return value;
        const isWrite = ['create', 'replace', 'apply', 'mergePatch', 'scale', 'delete'].includes(String(name));
        return (...args: unknown[]) => {
          const event = isWrite && (args[0] as { kind?: string }).kind === 'Event';
          if (isWrite && !event) guarded(String(name));
          return (value as (...all: unknown[]) => unknown).apply(target, args);
        };
      },
    });
  }

  readonly ghostWrites: string[] = [];

  /** What holds at every moment. */
  #check(): void {
    const { rig } = this;
    for (const write of rig.api.writes) {
      assert.ok(isAllowed(write, this.#isOurs), `${write.verb} ${write.kind} ${write.key}`);
      if (write.verb === 'scale')
        assert.ok(Number(write.body) >= 1 && Number(write.body) <= 10, `${write.body} replicas`);
    }
    const annotations = rig.revision(first);
    if (this.#isOurs) {
      if (this.#foreign === 0) assert.ok(rig.replicas(first) >= 1);
      return;
    }
    const minScale = Number(annotations['autoscaling.knative.dev/min-scale']);
    assert.ok(minScale >= 0 && minScale <= 10, `min-scale ${minScale}`);
    if (this.#foreign > 0) return;
    // Whatever is held can be given back, whoever comes to do it.
    const held = annotations['autoscaling.knative.dev/paceline-original'];
    if (held === undefined) assert.equal(annotations, original);
    else assert.is(JSON.parse(held).original['min-scale'], '1');
  }
}

function isAllowed({ verb, kind, subresource }: Write, ours: boolean): boolean {
  if (ours && kind === 'Deployment') return verb === 'scale';
  if (ours && kind === 'PodAutoscaler') return subresource === 'status';
  if (ours && kind === 'ServerlessService') return verb === 'create' || verb === 'mergePatch';
  if (kind === 'Revision') return verb === 'apply' || verb === 'mergePatch';
  if (kind === 'InferencePolicy') return verb === 'create' || verb === 'delete' || subresource === 'status';
  return kind === 'Event' || kind === 'Secret';
}

suite('the reconcile loop, whatever happens', (test) => {
  for (let seed = 1; seed <= histories; seed++) {
    test(`seed ${seed}: it converges, is quiet then, and gives everything back`, async () => {
      const history = new History(seed);
      const { rig } = history;
      await history.run();
      await history.heal();
      assert.equal(history.ghostWrites, []);
      assert.is(rig.condition('Accepted')?.status, 'True');
      const enforced = rig.condition('Enforced');
      if (history.foreign < 3) assert.is(enforced?.status, 'True', `${enforced?.reason}: ${enforced?.message}`);
      if (enforced?.status === 'True') {
        assert.ok(rig.minScale(first) >= 1);
        assert.is(rig.status().plan?.replicas, rig.api.all(kinds.pod).length);
      }
      const quiet = rig.api.writes.length;
      await rig.clock.advance(300_000);
      assert.equal(rig.api.writes.slice(quiet), []);
      rig.annotate({ 'paceline.dev/slo': null });
      await rig.clock.advance(120_000);
      assert.is(rig.policy(), undefined);
      if (history.foreign === 0) assert.equal(rig.revision(first), original);
      else assert.is(rig.revision(first)['autoscaling.knative.dev/paceline-original'], undefined);
      await history.end();
    });
  }

  for (let seed = 101; seed <= 100 + Math.ceil(histories / 2); seed++) {
    test(`seed ${seed}: the same with our own autoscaler class`, async () => {
      const history = new History(seed, podAutoscalerClass);
      const { rig } = history;
      await history.run();
      await history.heal();
      assert.equal(history.ghostWrites, []);
      const enforced = rig.condition('Enforced');
      if (history.foreign < 3) assert.is(enforced?.status, 'True', `${enforced?.reason}: ${enforced?.message}`);
      if (enforced?.status === 'True') {
        assert.is(rig.replicas(first), rig.status().plan?.replicas);
        const { status } = rig.api.peek(kinds.podAutoscaler, { namespace, name: first }) as KubeObject;
        assert.is((status as { actualScale?: number }).actualScale, rig.replicas(first));
      }
      const quiet = rig.api.writes.length;
      await rig.clock.advance(300_000);
      assert.equal(rig.api.writes.slice(quiet), []);
      rig.annotate({ 'paceline.dev/slo': null });
      await rig.clock.advance(120_000);
      assert.is(rig.policy(), undefined);
      // Knative takes a Revision of another class only with a metric by name.
      assert.equal(rig.revision(first), { ...original, [metricKey]: knativeMetric });
      await history.end();
    });
  }

  test('the same seed gives the same history, write by write', async () => {
    const runs: string[] = [];
    for (let i = 0; i < 2; i++) {
      const history = new History(77);
      await history.run();
      const writes = history.rig.api.writes.filter(({ kind }) => kind !== 'Secret');
      runs.push(JSON.stringify(writes));
      await history.end();
    }
    assert.is(runs[0], runs[1]);
  });

  test('the fence is tried: a process that never asks whether it leads is found out', async () => {
    const history = new History(3);
    const { rig } = history;
    await rig.start();
    const part = await rig.controller(() => false);
    await rig.clock.advance(30_000);
    const steering = rig.api.writes.filter(({ kind }) => kind === 'Revision' || kind === 'InferencePolicy');
    assert.equal(steering, []);
    await part.stop();
  });
});
