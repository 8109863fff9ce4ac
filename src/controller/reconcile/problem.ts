import { kinds } from '../../kube/objects.ts';
import type { ServicePlan } from '../../planner/service-plan.ts';
import type { ColdStart, DemandState, RevisionState, ServiceProblem } from '../../planner/service-problem.ts';
import { costPerHour, type Price, type ReplicaPrice } from '../../policy/price-list.ts';
import type { ServicePolicy } from '../../policy/service-policy.ts';
import { originalKey, parseHolding } from '../actuators/originals.ts';
import type { CompanionSignals, LatencySample } from '../signals/parse-signals.ts';
import type { PodReport } from '../signals/signal-poller.ts';
import { durationMs } from './fields.ts';
import type { ObservedDeployment, ObservedPod, ObservedService } from './observed.ts';

/** A pod with what its companion said, if that is fresh. */
export interface HeardFrom {
  readonly pod: ObservedPod;
  readonly report: PodReport | undefined;
}

export interface ProblemInput {
  readonly nowMs: number;
  readonly observed: ObservedService;
  readonly policy: ServicePolicy;
  readonly heard: readonly HeardFrom[];
  readonly demand: DemandState;
  readonly coldStart: ColdStart;
  readonly priceOf: (pod: ObservedPod) => Price | undefined;
  /** Of a replica where none runs whose node is known. */
  readonly priceOtherwise: ReplicaPrice | undefined;
  readonly previous: ServicePlan | undefined;
  /** The last curve of each revision: what is not running has still been measured. */
  readonly curves: ReadonlyMap<string, readonly LatencySample[]>;
  /** How often a plan is made, in ms. */
  readonly planEveryMs: number;
}

/** As many seconds as tell a step of demand with its size. */
const heldSeconds = 2;

/** Puts together what one plan depends on. Undefined where nothing runs and nothing ever did. Pure. */
export function problemOf(input: ProblemInput): ServiceProblem | undefined {
  const { nowMs, observed, policy, demand, coldStart, previous } = input;
  const names = plannedRevisions(observed);
  if (names.length === 0) return undefined;
  const known = policy.replicaCost ?? runningPrice(input) ?? input.priceOtherwise;
  return {
    now: nowMs,
    policy,
    revisions: names.map(({ name, share }) => revisionState(input, name, share, known?.perHour)),
    demand: withHeld(demand, heldBack(input), policy.sloMs),
    prices: known?.currency === undefined ? {} : { currency: known.currency },
    bounds: {
      // Nobody wakes a Deployment without pods.
      minReplicas: Math.max(observed.minReplicas, observed.deploymentMode === 'standard' ? 1 : 0),
      maxReplicas: observed.maxReplicas,
      containerConcurrency: observed.containerConcurrency,
    },
    coldStart,
    previous,
    autoscaler: autoscalerState(observed),
    // Revisions of one service have the shares that its traffic block gives them; variants are chosen among by their route.
    routing: 'shares',
    planEveryMs: input.planEveryMs,
  };
}

/** Those that have traffic; where the API does not say yet, the newest Ready one. */
export function plannedRevisions(observed: ObservedService): { name: string; share: number }[] {
  if (observed.deploymentMode === 'standard') {
    // One Deployment; while it rolls, its newest ReplicaSet is the one that stays.
    const staying = observed.pods.filter((pod) => !pod.ending && isOf(observed.deployment, pod));
    const [newest] = staying.sort((one, other) => other.createdMs - one.createdMs);
    if (newest) return [{ name: newest.revision, share: 1 }];
    return observed.deployment ? [{ name: observed.deployment.name, share: 1 }] : [];
  }
  const routed = observed.revisions.filter(({ trafficPercent }) => trafficPercent > 0);
  const total = routed.reduce((sum, { trafficPercent }) => sum + trafficPercent, 0);
  if (total > 0) return routed.map(({ name, trafficPercent }) => ({ name, share: trafficPercent / total }));
  const fallback = observed.revisions.find(({ name }) => name === observed.latestReadyRevision);
  const newest = fallback ?? observed.revisions.filter(({ reachable }) => reachable).at(-1);
  return newest ? [{ name: newest.name, share: 1 }] : [];
}

/**
 * Whether a pod is a replica of the Deployment that is planned for: a canary beside it is younger, and never stays. What
 * callers ask of a canary counts as demand all the same, because it is the Deployment's as soon as the canary is taken away.
 */
function isOf(deployment: ObservedDeployment | undefined, { revision }: ObservedPod): boolean {
  // A ReplicaSet is named after its Deployment and the hash of a template, in which there is no hyphen.
  return !deployment || revision.slice(0, revision.lastIndexOf('-')) === deployment.name;
}

function revisionState(
  input: ProblemInput,
  name: string,
  share: number,
  priceKnown: number | undefined,
): RevisionState {
  const { policy, heard, curves } = input;
  const pods = heard.filter(({ pod }) => pod.revision === name && !pod.ending);
  const reports = pods.flatMap(({ report }) => (report ? [report.signals] : []));
  const sum = (of: (signals: (typeof reports)[number]) => number) =>
    reports.reduce((total, each) => total + of(each), 0);
  const requests = sum((each) => (each.attainment === undefined ? 0 : each.requests));
  const met = sum((each) => (each.attainment === undefined ? 0 : each.attainment * each.requests));
  const readyReplicas = pods.filter(({ pod }) => pod.readyMs !== undefined).length;
  // A revision without pods costs what the others cost: at 3,600 replica-seconds an hour it would eat any budget.
  const price = policy.replicaCost ? priceKnown : (runningPrice(input, name)?.perHour ?? priceKnown);
  return {
    name,
    latencyMs: curves.get(name) ?? [],
    batchesSeen: mostBatches(reports),
    parallel: Math.max(1, Math.round(sum((each) => each.inFlightLimit) / Math.max(1, reports.length))),
    capacityPerReplica: reports.reduce((most, { capacity }) => Math.max(most, capacity), 0),
    arrivalRate: sum(({ arrivalRate }) => arrivalRate),
    attainment: requests > 0 ? met / requests : Number.NaN,
    waiting: sum(({ waiting, upstreamWaiting }) => waiting + (upstreamWaiting ?? 0)),
    readyReplicas,
    pendingReplicas: pods.length - readyReplicas,
    ...(price === undefined ? {} : { price }),
    ...(policy.accuracy === undefined ? {} : { accuracy: policy.accuracy }),
    trafficShare: share,
  };
}

/** Undefined where companions of before do not say. Where nobody is heard nothing was seen: the curve is from before. */
function mostBatches(reports: readonly CompanionSignals[]): number | undefined {
  if (reports.length === 0) return 0;
  const told = reports.flatMap(({ totals }) => (totals ? [totals.batches] : []));
  return told.length === 0 ? undefined : Math.max(...told);
}

/**
 * Requests that queue-proxies hold back for certain, because as many as they let through are at work. What they say is a
 * mean over a second, and what is at work was counted at another moment: only what is beyond their limit is no chance.
 */
function heldBack({ heard, observed: { containerConcurrency } }: ProblemInput): number {
  if (containerConcurrency === 0) return 0;
  return heard.reduce(
    (sum, { report }) => sum + Math.max(0, (report?.signals.upstreamWaiting ?? 0) - containerConcurrency),
    0,
  );
}

/**
 * Demand with what is held back: companions count what is let through to them, which a hard concurrency keeps at what they
 * serve already. Those who wait should be served within the objective as well, beside those who come.
 */
function withHeld(demand: DemandState, held: number, sloMs: number): DemandState {
  if (held === 0) return demand;
  const more = (held * 1000) / sloMs;
  const perSecond = demand.perSecond.map((items, i, all) => (i >= all.length - heldSeconds ? items + more : items));
  return { ...demand, perSecond };
}

/** Mean price of the pods of a revision, or of all of them; undefined where no node of theirs has one. */
export function runningPrice(
  { heard, priceOf }: Pick<ProblemInput, 'heard' | 'priceOf'>,
  revision?: string,
): ReplicaPrice | undefined {
  const priced = heard.flatMap(({ pod, report }) => {
    const price = revision === undefined || pod.revision === revision ? priceOf(pod) : undefined;
    const load = { memoryGb: pod.memoryGb, requestRate: (report?.signals.requests ?? 0) / 60 };
    return price ? [{ perHour: costPerHour(price, load), currency: price.currency }] : [];
  });
  const [first] = priced;
  return first && { ...first, perHour: priced.reduce((sum, { perHour }) => sum + perHour, 0) / priced.length };
}

function autoscalerState({ autoscaler, revisions, knative }: ObservedService): ServiceProblem['autoscaler'] {
  const newest = revisions.at(-1)?.annotations ?? {};
  // What we steer ourselves says nothing about what is in force without us: a window that we widened would be taken
  // back with the next plan, and widened again with the one after.
  const before = parseHolding(newest[originalKey(kinds.revision)])?.original ?? {};
  const text = (name: string) =>
    Object.hasOwn(before, name) ? (before[name] ?? undefined) : newest[`autoscaling.knative.dev/${name}`];
  const read = (name: string, otherwise: number) => {
    const value = Number(text(name));
    return text(name) !== undefined && Number.isFinite(value) ? value : otherwise;
  };
  const percent = read('target-utilization-percentage', knative.targetUtilization * 100);
  return {
    kind: autoscaler === 'class' ? 'external' : autoscaler,
    stableWindowMs: durationMs(text('window')) ?? knative.stableWindowMs,
    targetUtilization: percent > 0 && percent <= 100 ? percent / 100 : knative.targetUtilization,
    tbc: read('target-burst-capacity', knative.targetBurstCapacity),
  };
}
