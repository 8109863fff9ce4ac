import type { ServicePlan } from '../../planner/service-plan.ts';
import type { Problem } from '../../policy/problem.ts';
import { reviewObserved } from '../../policy/review-observed.ts';
import type { ServicePolicy } from '../../policy/service-policy.ts';
import { finding } from './choice.ts';
import type { ObservedService } from './observed.ts';
import type { HeardFrom } from './problem.ts';
import type { ServiceMemory } from './service-memory.ts';
import type { Finding, Observations } from './status.ts';

const saturated = 0.75;

/** Replicas that somebody (we, mostly) asks for now. */
export function askedFor(observed: ObservedService, name: string): number {
  if (observed.deploymentMode === 'standard') return observed.deployment?.replicas ?? 0;
  const revision = observed.revisions.find((each) => each.name === name);
  if (revision?.podAutoscaler?.own) return revision.podAutoscaler.desiredScale;
  return Number(revision?.annotations['autoscaling.knative.dev/min-scale'] ?? 0) || 0;
}

export function injectedFinding({ pods }: ObservedService): Finding {
  const running = pods.filter(({ ending }) => !ending);
  if (running.length === 0) return finding('Unknown', 'NoPods', 'no pod is running');
  const without = running.filter(({ companion }) => !companion);
  if (without.length === 0) return finding('True', 'Injected', `${running.length} pods have the companion`);
  const message = `${without.length} of ${running.length} pods were made without the companion, such as ${without[0]?.name}: restart them`;
  return finding('False', 'RestartRequired', message);
}

export function observationsOf(
  heard: readonly HeardFrom[],
  plan: ServicePlan | undefined,
  { curves }: ServiceMemory,
): Observations {
  let requests = 0;
  let met = 0;
  let heldUpstream = 0;
  let arrivalRate = 0;
  for (const { report } of heard) {
    if (!report) continue;
    const { signals } = report;
    heldUpstream += signals.upstreamWaiting ?? 0;
    arrivalRate += signals.arrivalRate;
    if (signals.attainment === undefined) continue;
    requests += signals.requests;
    met += signals.attainment * signals.requests;
  }
  const ready = heard.filter(({ pod }) => pod.readyMs !== undefined && !pod.ending).length;
  const perReplica = plan && plan.expect.replicas > 0 ? plan.expect.costPerHour / plan.expect.replicas : undefined;
  return {
    attainment: requests > 0 ? met / requests : undefined,
    heldUpstream,
    arrivalRate,
    readyReplicas: ready,
    costPerHour: perReplica === undefined || curves.size === 0 ? undefined : perReplica * ready,
    currency: plan?.currency,
  };
}

/** Near saturation, or on the way to more replicas, a service is looked at each second. */
export function isFast(
  plan: ServicePlan | undefined,
  { heldUpstream }: Observations,
  observed: ObservedService,
): boolean {
  if (!plan) return false;
  const coming = observed.pods.some((pod) => pod.readyMs === undefined && !pod.ending);
  return coming || heldUpstream > 0 || plan.expect.utilisation > saturated;
}

export function savingOf({ savings, advisingSinceMs, plan }: ServiceMemory, policy: ServicePolicy | undefined) {
  if (policy?.mode !== 'advise' || advisingSinceMs === undefined) return undefined;
  const since = new Date(advisingSinceMs).toISOString();
  const saved = Number(savings.saved.toPrecision(4));
  return plan?.currency === undefined ? { replicaSeconds: saved, since } : { replicaSeconds: 0, cost: saved, since };
}

export function shownPlan({ replicas, revision, batch, demand, expect, runnerUp, knative }: ServicePlan): object {
  return { replicas, revision, batch, demand, expect, knative, runnerUp };
}

/** What only companions can know is wrong: an SLO below the model's own latency, a header that splits lanes, slow starts. */
export function measuredProblems(
  { deploymentMode, minReplicas }: ObservedService,
  policy: ServicePolicy,
  heard: readonly HeardFrom[],
  { curves, plan, coldStarts }: ServiceMemory,
): Problem[] {
  const latencyMs = plan && curves.get(plan.revision);
  const splittingHeader = heard.flatMap(({ report }) => report?.signals.mostSplittingHeader ?? [])[0];
  const coldStartMs = coldStarts.count > 0 ? coldStarts.distribution().p50Ms : undefined;
  return reviewObserved({
    observed: { ...(latencyMs ? { latencyMs } : {}), splittingHeader, coldStartMs },
    policy,
    minReplicas,
    mode: deploymentMode,
    where: (field) => ({ field }),
  });
}
