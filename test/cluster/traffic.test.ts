// The rollout over KServe's real bookkeeping, without the rest of Paceline: the test is the webhook and the controller,
// and what it sees of the revisions is what its own callers measured.
import * as assert from 'uvu/assert';
import { Canary } from '../../src/controller/actuators/canary.ts';
import { firstCanaryStep } from '../../src/controller/rollout/first-step.ts';
import type { CanaryService } from '../../src/controller/rollout/kserve-view.ts';
import { planRollout } from '../../src/controller/rollout/rollout.ts';
import { readRolloutState, rolloutStateText } from '../../src/controller/rollout/state.ts';
import type { RevisionView } from '../../src/controller/rollout/view.ts';
import { type Outcomes, RolloutEvidence, RolloutReason } from '../../src/kernels/rollout-evidence.ts';
import { KubeClient } from '../../src/kube/kube-client.ts';
import { isConflict } from '../../src/kube/kube-error.ts';
import { type KubeObject, kinds } from '../../src/kube/objects.ts';
import { suite } from '../support/suite.ts';
import { WriteRecorder } from '../support/write-recorder.ts';
import { applyAsUser, list, ready, temporaryNamespace, until } from './support/cluster.ts';
import { figure } from './support/figures.ts';
import { OpenLoad } from './support/open-load.ts';
import { hostOf, inferenceService, type ModelSettings, modelContainer } from './support/services.ts';

const name = 'walked';
const sloMs = 400;
const annotations = { 'paceline.dev/slo': `${sloMs}ms`, 'paceline.dev/rollout': 'auto' };
/** Several at once, because nothing batches here; PARALLEL is that of a model with threads. */
const quick: ModelSettings = { BASE_MS: 50, SLOPE_MS: 5, PARALLEL: 16 };
const slowed: ModelSettings = { BASE_MS: 420, SLOPE_MS: 15, PARALLEL: 64 };

/** A controller of one service: looks each second, remembers nothing but text, writes the share and nothing else. */
class Walker {
  readonly reasons: string[] = [];
  readonly api = KubeClient.load();
  readonly #kernel = new RolloutEvidence();
  readonly #canary = new Canary();
  #stored: string | undefined;
  #seen = 0;

  constructor(
    readonly namespace: string,
    readonly load: OpenLoad,
  ) {}

  async service(): Promise<KubeObject & CanaryService> {
    return (await this.api.get(kinds.inferenceService, { namespace: this.namespace, name })) as KubeObject &
      CanaryService;
  }

  /** A user's update with what the webhook adds to it; once more, from what is there then, where KServe was faster. */
  async deploy(version: string, settings: ModelSettings): Promise<void> {
    for (;;) {
      try {
        return await this.#deployOnce(version, settings);
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    }
  }

  async #deployOnce(version: string, settings: ModelSettings): Promise<void> {
    const before = await this.service();
    const containers = [modelContainer('kserve-container', { ...settings, VERSION: version })];
    const after = { ...before, spec: { ...before.spec, predictor: { ...before.spec.predictor, containers } } };
    // The service itself carries no annotation of ours, so that a Paceline that is installed leaves it alone.
    const consenting = (each: CanaryService): CanaryService => ({
      ...each,
      metadata: { ...each.metadata, annotations },
    });
    const step = firstCanaryStep(consenting(before), consenting(after));
    if (step) Object.assign(after.spec.predictor, { canaryTrafficPercent: step.percent });
    await this.api.replace(kinds.inferenceService, after as unknown as KubeObject);
  }

  /** Looks once a second until the reason is this one. */
  async until(reason: RolloutReason, seconds: number): Promise<void> {
    const started = Date.now();
    while ((await this.look()) !== reason) {
      if (Date.now() - started > 1000 * seconds)
        throw new Error(`no ${RolloutReason[reason]}: ${this.reasons.join(' ')}`);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }

  async look(): Promise<RolloutReason> {
    const service = await this.service();
    const predictor = service.status?.components?.predictor;
    const percent = service.spec.predictor.canaryTrafficPercent ?? undefined;
    const plan = planRollout(
      readRolloutState(this.#stored),
      {
        nowMs: Date.now(),
        consent: true,
        deploymentMode: 'knative',
        percent,
        predictor,
        quantile: 0.99,
        plannedReplicas: 1,
        maxReplicas: 0,
        revisions: await this.#revisions(),
      },
      this.#kernel,
    );
    this.#stored = plan.state && rolloutStateText(plan.state);
    const reason = RolloutReason[plan.reason] ?? '';
    if (this.reasons.at(-1) !== reason) this.reasons.push(reason);
    const target = {
      target: { namespace: this.namespace, name },
      resourceVersion: service.metadata.resourceVersion ?? '',
      canaryTrafficPercent: percent,
      latestReadyRevision: predictor?.latestReadyRevision,
      latestRolledoutRevision: predictor?.latestRolledoutRevision,
    };
    await this.#canary.apply({ percent: plan.percent }, target, { ...new WriteRecorder().context, api: this.api });
    return plan.reason;
  }

  async #revisions(): Promise<Map<string, RevisionView>> {
    interface Revision {
      spec: { containers: { env?: { name: string; value?: string }[] }[] };
      status?: { actualReplicas?: number };
    }
    const ended = this.load.ended.slice(this.#seen);
    this.#seen += ended.length;
    const views = new Map<string, RevisionView>();
    for (const { metadata, spec, status } of await list<Revision>('revisions', this.namespace)) {
      const version = spec.containers[0]?.env?.find((each) => each.name === 'VERSION')?.value;
      const own = ended.filter((each) => each.version === version);
      const outcomes: Outcomes = {
        requests: own.length,
        late: own.filter(({ tookMs, status }) => tookMs > sloMs || status !== 200).length,
        failed: own.filter((each) => each.status !== 200).length,
      };
      views.set(metadata.name, { readyReplicas: status?.actualReplicas ?? 0, outcomes, latencyMs: [] });
    }
    return views;
  }
}

suite("rollouts over KServe's own bookkeeping", (test) => {
  const space = { name: '', remove: async () => {} };

  test.before(async () => {
    Object.assign(space, await temporaryNamespace('traffic'));
  });
  test.after(() => space.remove());

  test('a good model promoted, a slow one rolled back, one edited on the way, no failed request', async () => {
    // Where the machine stalls for a second, Knative would start pods until it stalls for good.
    const predictor = { maxReplicas: 3 };
    await applyAsUser(
      inferenceService(space.name, name, { mode: 'Knative', model: { ...quick, VERSION: '1' }, predictor }),
    );
    await ready('isvc', space.name, name);
    const host = hostOf.inferenceService(space.name, name, 'Knative');
    const load = new OpenLoad(host, `/v1/models/${name}:predict`, { instances: [[1, 2]] }, 60);
    // What fails from here on ends the load, or this process would not end.
    try {
      await walkAll(new Walker(space.name, load), load);
    } finally {
      await load.stop();
    }
  });

  async function walkAll(walker: Walker, load: OpenLoad): Promise<void> {
    const rolledOut = async (): Promise<string | undefined> => {
      await walker.look();
      return (await walker.service()).status?.components?.predictor?.latestRolledoutRevision;
    };
    await walker.until(RolloutReason.Idle, 30);
    const first = await rolledOut();

    let began = Date.now();
    await walker.deploy('2', quick);
    await walker.until(RolloutReason.ProvenGood, 500);
    figure('a good revision is promoted after', (Date.now() - began) / 1000, 's');
    await until('the second model to be rolled out', async () => (await rolledOut()) !== first, 30_000);
    const second = await rolledOut();
    const promotedMs = performance.now();

    began = Date.now();
    await walker.deploy('3', slowed);
    await walker.until(RolloutReason.MissesMore, 300);
    figure('a slow revision is rolled back after', (Date.now() - began) / 1000, 's');
    assert.is(await rolledOut(), second);

    await walker.deploy('4', quick);
    await walker.until(RolloutReason.StepPassed, 120);
    await walker.deploy('5', quick);
    // A share of its own from nothing on: that it was not Ready is seen only where it takes longer than a look.
    await walker.until(RolloutReason.Started, 120);
    assert.is(await rolledOut(), second, 'the edit is walked against the last that was rolled out');

    const ended = await load.stop();
    figure('reasons', walker.reasons.join(' '));
    const failed = ended.filter(({ status }) => status !== 200);
    assert.is(failed.length, 0, `${failed.length} of ${ended.length} failed: ${JSON.stringify(failed.slice(0, 3))}`);
    const stale = ended.filter(({ atMs, version }) => version === '1' && atMs > promotedMs + 10_000);
    assert.is(stale.length, 0, 'the model before the last was served again');
    const slow = ended.filter(({ version }) => version === '3').length;
    figure('requests of a slow revision', (100 * slow) / ended.length, '% of all');
  }
});
