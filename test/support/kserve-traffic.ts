import { firstCanaryStep, type RolloutConsent } from '../../src/controller/rollout/first-step.ts';
import type { CanaryService, PredictorStatus, TrafficTarget } from '../../src/controller/rollout/kserve-view.ts';

interface Revision {
  readonly name: string;
  readonly template: string;
  ready: boolean;
}

type Targets = readonly TrafficTarget[];

const consenting = { 'paceline.dev/slo': '200ms', 'paceline.dev/rollout': 'auto' };

/**
 * The traffic bookkeeping of KServe (ksvc_reconciler.go and InferenceServiceStatus.PropagateStatus) over that of Knative
 * (the reconcilers of Service, Configuration and Route), as four reconcilers that run one at a time, in any order: each
 * sees what the others have written so far, so that the races between them can be played.
 */
export class KServeTraffic {
  /** spec.predictor, of which a template is a model and what else the test puts in. */
  predictor: Record<string, unknown>;
  annotations: Record<string, string> = consenting;
  readonly status: { -readonly [K in keyof PredictorStatus]: PredictorStatus[K] } = {};
  readonly revisions: Revision[] = [];
  /** Names that become Ready only when the test says so. */
  readonly slow = new Set<string>();
  /** Whether the webhook is reached. */
  webhook = true;
  consent: RolloutConsent | undefined;

  readonly #ksvc = { template: '', traffic: [] as Targets, created: '', ready: '', statusTraffic: [] as Targets };
  readonly #configuration = { template: '', observed: '', created: '', ready: '' };
  readonly #route = { spec: [] as Targets, observed: [] as Targets, traffic: [] as Targets };

  constructor(model: string) {
    this.predictor = { model: { storageUri: model }, minReplicas: 1 };
    this.reconcileAll();
  }

  get percent(): number | undefined {
    return this.predictor.canaryTrafficPercent as number | undefined;
  }

  /** A user's update, through the webhook. */
  update(change: Record<string, unknown>): void {
    const before = this.service();
    this.predictor = { ...this.predictor, ...change };
    for (const [key, value] of Object.entries(this.predictor)) if (value === undefined) delete this.predictor[key];
    const step = this.webhook ? firstCanaryStep(before, this.service(), this.consent) : undefined;
    if (!step) return;
    if (step.percent === null) delete this.predictor.canaryTrafficPercent;
    else this.predictor.canaryTrafficPercent = step.percent;
  }

  deploy(model: string): void {
    this.update({ model: { storageUri: model } });
  }

  /** What the controller writes: the share alone, past the webhook's rules. */
  write(percent: number): void {
    this.predictor = { ...this.predictor, canaryTrafficPercent: percent };
  }

  service(): CanaryService {
    return {
      metadata: { annotations: this.annotations },
      spec: { predictor: { ...this.predictor } },
      status: { deploymentMode: 'Knative', components: { predictor: { ...this.status } } },
    };
  }

  /** Where requests go now: percent by model. */
  serving(): Record<string, number> {
    const shares: Record<string, number> = {};
    for (const { revisionName, percent = 0 } of this.#route.traffic) {
      const model = this.modelOf(revisionName ?? '');
      if (percent > 0) shares[model] = (shares[model] ?? 0) + percent;
    }
    return shares;
  }

  modelOf(revision: string): string {
    const template = this.revisions.find(({ name }) => name === revision)?.template ?? '{}';
    return (JSON.parse(template) as { model?: { storageUri: string } }).model?.storageUri ?? '';
  }

  makeReady(revision: string): void {
    this.slow.delete(revision);
    for (const each of this.revisions) if (each.name === revision) each.ready = true;
  }

  readonly reconcilers = {
    kserve: () => this.#kserve(),
    service: () => this.#service(),
    configuration: () => this.#configure(),
    route: () => this.#routes(),
    kubelet: () => this.#kubelet(),
  };

  /** Every reconciler until nothing changes, in the order in which they usually run. */
  reconcileAll(): void {
    for (let round = 0; round < 8; round++) for (const reconcile of Object.values(this.reconcilers)) reconcile();
  }

  #kserve(): void {
    const { canaryTrafficPercent: percent, ...template } = this.predictor as { canaryTrafficPercent?: number };
    const rolledOut = this.status.latestRolledoutRevision ?? '';
    const traffic: TrafficTarget[] = [{ latestRevision: true, percent: 100 }];
    if (percent !== undefined && rolledOut !== '') {
      traffic[0] = { latestRevision: true, percent };
      if (percent < 100) {
        traffic.push({ revisionName: rolledOut, latestRevision: false, percent: 100 - percent, tag: 'prev' });
      }
    }
    const before = { ...this.#ksvc };
    this.#ksvc.template = JSON.stringify({ ...template, annotations: this.annotations });
    this.#ksvc.traffic = traffic;
    this.#propagate(before.created, before.ready, before.statusTraffic);
  }

  /** PropagateStatus, line by line. */
  #propagate(created: string, ready: string, traffic: Targets): void {
    const { status } = this;
    status.latestCreatedRevision = created;
    const sums = new Map<string, number>();
    for (const { revisionName = '', percent } of traffic) {
      if (percent !== undefined) sums.set(revisionName, (sums.get(revisionName) ?? 0) + percent);
    }
    for (const target of traffic) {
      if (target.revisionName !== ready || !target.latestRevision) continue;
      if ((status.latestRolledoutRevision ?? '') !== ready) {
        if (target.percent === 100) {
          status.previousRolledoutRevision = status.latestRolledoutRevision ?? '';
          status.latestRolledoutRevision = ready;
        }
      } else if (ready === created && target.percent !== undefined && target.percent < 100) {
        if (sums.get(ready) === 100 && (status.previousRolledoutRevision ?? '') !== '') {
          status.latestRolledoutRevision = status.previousRolledoutRevision;
        }
      }
    }
    status.latestReadyRevision = ready;
    status.traffic = traffic;
  }

  #service(): void {
    this.#configuration.template = this.#ksvc.template;
    if (this.#configuration.observed === this.#configuration.template) {
      this.#ksvc.created = this.#configuration.created;
      this.#ksvc.ready = this.#configuration.ready;
    }
    this.#route.spec = this.#ksvc.traffic;
    if (JSON.stringify(this.#route.observed) === JSON.stringify(this.#route.spec))
      this.#ksvc.statusTraffic = this.#route.traffic;
  }

  #configure(): void {
    const configuration = this.#configuration;
    if (configuration.template === '') return;
    if (configuration.observed !== configuration.template) {
      const name = `m-${this.revisions.length + 1}`;
      this.revisions.push({ name, template: configuration.template, ready: false });
      configuration.created = name;
      configuration.observed = configuration.template;
    }
    configuration.ready = this.revisions.filter(({ ready }) => ready).at(-1)?.name ?? '';
  }

  #routes(): void {
    const { ready } = this.#configuration;
    const targets = this.#route.spec.map((target) => ({
      ...target,
      revisionName: target.latestRevision ? ready : target.revisionName,
    }));
    const known = targets.every(({ revisionName }) =>
      this.revisions.some((each) => each.name === revisionName && each.ready),
    );
    if (targets.length === 0 || !known) return;
    this.#route.traffic = targets;
    this.#route.observed = this.#route.spec;
  }

  #kubelet(): void {
    for (const revision of this.revisions) if (!this.slow.has(revision.name)) revision.ready = true;
  }
}
