import { planReasonName } from '../../kernels/plan-reasons.ts';
import { type Chance, type Clock, jittered } from '../../kube/clock.ts';
import type { EventRecorder, EventSubject } from '../../kube/event-recorder.ts';
import type { KubeApi } from '../../kube/kube-api.ts';
import { isEnding } from '../../kube/kube-error.ts';
import { kinds } from '../../kube/objects.ts';
import type { Again } from '../../kube/work-queue.ts';
import type { ServicePlan } from '../../planner/service-plan.ts';
import type { ServiceProblem } from '../../planner/service-problem.ts';
import type { InferencePolicyStatus } from '../../policy/inference-policy.ts';
import { instanceTypeOf, priceOfNode } from '../../policy/price-list.ts';
import type { ServicePolicy } from '../../policy/service-policy.ts';
import type { Log } from '../../telemetry/log.ts';
import type { ActuationContext } from '../actuators/actuator.ts';
import type { SignalPoller } from '../signals/signal-poller.ts';
import { type Choice, choose, finding } from './choice.ts';
import type { ColdStarts } from './cold-starts.ts';
import { credibleCurves } from './curves.ts';
import { declaredVariants } from './declared-variants.ts';
import { type Enforced, type Enforcement, enforcedFinding } from './enforcement.ts';
import type { ReconcileMetrics } from './metrics.ts';
import {
  askedFor,
  injectedFinding,
  isFast,
  measuredProblems,
  observationsOf,
  savingOf,
  shownPlan,
} from './observations.ts';
import type { ObservedPod, ObservedService } from './observed.ts';
import { nothingPlanned, type Planned, plannedFrom, plannedOff, withWarnings } from './planned.ts';
import { isOurs, makePolicy, removePolicy } from './policy-object.ts';
import { type HeardFrom, problemOf, runningPrice } from './problem.ts';
import { type Target, targetOf } from './projections.ts';
import { restrained } from './restraint.ts';
import { scoreOf } from './score.ts';
import { ServiceMemory } from './service-memory.ts';
import { differs, type Findings, type Observations, planMessage, statusOf } from './status.ts';
import type { StoredPolicy } from './stored-policies.ts';
import type { World } from './world.ts';

export interface ReconcilerParts {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly log: Log;
  readonly world: World;
  readonly poller: SignalPoller;
  readonly events: EventRecorder;
  readonly metrics: ReconcileMetrics;
  readonly enforcement: Enforcement;
  /** Cold starts of all services, for one that has none of its own yet. */
  readonly allColdStarts: ColdStarts;
  readonly plan: (problem: ServiceProblem) => ServicePlan;
  readonly leads: () => boolean;
  readonly transitions: number;
}

const periodMs = 10_000;
const fastPeriodMs = 1_000;
const statusPeriodMs = 10_000;
/** Signals older than this count as not heard. */
const freshMs = 30_000;
/** So long a service that was just met may stay unheard before anything is decided or said about it. */
const firstWordMs = 15_000;
/** A leader that starts anew does not lower before it has watched for this long. */
const watchFirstMs = 60_000;

/** One pass over one service: what is promised, what is there, what is planned, what is done about it, what is said. */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  readonly #memories = new Map<string, ServiceMemory>();
  readonly #choices = new WeakMap<Target, { readonly policies: readonly StoredPolicy[]; readonly choice: Choice }>();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /** The memory of a service, for what arrives between passes. */
  memoryOf(key: string): ServiceMemory {
    const known = this.#memories.get(key);
    if (known) return known;
    const memory = new ServiceMemory(this.#parts.clock.monotonicMs());
    this.#memories.set(key, memory);
    return memory;
  }

  /** The memory of a service that has one. */
  known(key: string): ServiceMemory | undefined {
    return this.#memories.get(key);
  }

  async reconcile(key: string): Promise<Again | undefined> {
    const { world, metrics } = this.#parts;
    const target = world.target(targetOf(key));
    if (!target || target.ending) {
      this.#memories.delete(key);
      metrics.forget(key);
      // Its policy of ours goes with it, by the owner reference.
      return { forget: true };
    }
    const choice = this.#choiceFor(target, world.policies(key));
    if (!choice.optedIn) return await this.#optedOut(key, target, choice);
    if (!choice.chosen) {
      await this.#keep(target);
      try {
        await makePolicy(this.#parts.api, target);
      } catch (error) {
        if (!isEnding(error)) throw error;
        // The service goes with its namespace, which the watch tells us.
        return { afterMs: periodMs };
      }
      return { afterMs: fastPeriodMs };
    }
    const memory = this.memoryOf(key);
    await this.#sayConflicts(choice);
    if (!choice.policy) {
      await this.#keep(target);
      await this.#report(memory, choice, { Accepted: choice.accepted }, undefined, undefined);
      return { afterMs: periodMs };
    }
    return await this.#decide(key, target, memory, choice, choice.policy);
  }

  /** Worked out anew only where the service or a policy has changed: what a watch has told is never changed in place. */
  #choiceFor(target: Target, policies: readonly StoredPolicy[]): Choice {
    const known = this.#choices.get(target);
    const same = known?.policies.length === policies.length && policies.every((each, i) => each === known.policies[i]);
    if (known && same) return known.choice;
    const choice = choose(target, policies);
    this.#choices.set(target, { policies, choice });
    return choice;
  }

  /** What must go on while nothing can be decided yet. */
  async #keep(target: Target): Promise<void> {
    const { world, enforcement } = this.#parts;
    await enforcement.keep(world.observe(target), this.#context());
  }

  /** The service wants us no more: everything that we hold is given back before our policy goes. */
  async #optedOut(key: string, target: Target, { chosen, others, accepted }: Choice): Promise<Again | undefined> {
    const { api, world, enforcement, metrics } = this.#parts;
    const policies = [...(chosen ? [chosen] : []), ...others];
    await enforcement.leave(world.observe(target), chosen, this.#context());
    for (const policy of policies) {
      await removePolicy(api, policy);
      if (!isOurs(policy)) await this.#writeFindings(policy, { Accepted: accepted });
    }
    this.#memories.delete(key);
    metrics.forget(key);
    return { forget: true };
  }

  async #decide(
    key: string,
    target: Target,
    memory: ServiceMemory,
    choice: Choice,
    policy: ServicePolicy,
  ): Promise<Again> {
    const { world, poller, enforcement, clock, metrics } = this.#parts;
    const observed = world.observe(target);
    const now = clock.monotonicMs();
    const heard = this.#heard(observed, now);
    const typeOf = (node: string | undefined) => instanceTypeOf(world.nodeLabels(node));
    for (const [revision, curve] of credibleCurves(heard, policy.sloMs, typeOf)) memory.noteCurve(revision, curve);
    const running = observed.pods.filter((pod) => !pod.ending && pod.companion && pod.readyMs !== undefined);
    // Its companions are about to be asked, and wake it: a status now would only be written over.
    const leftMs = running.length > 0 && memory.heardMs === undefined ? firstWordMs - (now - memory.sinceMs) : 0;
    if (leftMs > 0 && policy.mode !== 'off') {
      await this.#keep(target);
      return { afterMs: leftMs };
    }
    // Those that end are not asked any more, ready as they may be while they drain.
    const silent = heard.filter(({ pod, report }) => running.includes(pod) && !report);
    const { plan, planned, problem } =
      policy.mode === 'off'
        ? plannedOff
        : this.#plan(memory, observed, policy, heard, now, {
            stale: running.length > 0 && silent.length === running.length,
            mayLower: silent.length === 0 && now - memory.sinceMs >= watchFirstMs,
          });
    const observations = observationsOf(heard, plan, memory);
    if (memory.plan && plan) {
      const replicas = observed.pods.filter((pod) => !pod.ending).length;
      memory.score = scoreOf(memory.plan.expect, {
        ...observations,
        replicas,
        costPerHour: observations.costPerHour ?? 0,
      });
    }
    const stored = choice.chosen as StoredPolicy;
    const choiceOf = (each: Target, policies: readonly StoredPolicy[]) => this.#choiceFor(each, policies);
    const variantsOf = (group: string) => declaredVariants(world, choiceOf, target.target.namespace, group);
    const what = { key, observed, policy, plan, problem, stored, heard, memory, variantsOf };
    const enforced = await enforcement.enforce(what, this.#context());
    this.#say(key, target, memory, plan, enforced, stored.value.status?.plan);
    if (plan) memory.plan = plan;
    const [measured, written] =
      policy.mode === 'off'
        ? [[], []]
        : [
            measuredProblems(observed, policy, heard, memory),
            memory.review.problems(target, world.policies(key), world.priceList()),
          ];
    for (const { code, message } of memory.warnings.note(measured, written, now)) {
      void this.#parts.events.record(subjectOf(target), 'Warning', code, message);
    }
    metrics.noted(key, policy, plan, observations, memory);
    const findings = {
      Accepted: choice.accepted,
      Injected: injectedFinding(observed),
      Planned: plan ? withWarnings(planned, memory.warnings) : planned,
      Enforced: enforcedFinding(policy.mode, plan, enforced),
    };
    if (leftMs <= 0) await this.#report(memory, choice, findings, policy, observations);
    // A rollout that walks gathers evidence with every look.
    const fast = isFast(plan, observations, observed) || enforced.pollMs !== undefined;
    poller.setFast(key, fast);
    const asked = enforced.pollMs ?? Number.POSITIVE_INFINITY;
    const nextMs = jittered(fast ? fastPeriodMs : periodMs, 0.1, this.#parts.chance);
    return { afterMs: Math.min(asked, nextMs), routine: !fast };
  }

  #heard(observed: ObservedService, now: number): HeardFrom[] {
    return observed.pods.map((pod) => {
      const report = this.#parts.poller.reportOf(`${pod.namespace}/${pod.name}`);
      return { pod, report: report && now - report.atMs <= freshMs ? report : undefined };
    });
  }

  #plan(
    memory: ServiceMemory,
    observed: ObservedService,
    policy: ServicePolicy,
    heard: readonly HeardFrom[],
    now: number,
    { stale, mayLower }: { readonly stale: boolean; readonly mayLower: boolean },
  ): Planned {
    if (stale) return nothingPlanned('StaleSignals', 'no companion was heard of late: nothing is changed');
    const { world, allColdStarts, plan: planService } = this.#parts;
    const anyone = observed.pods.some((pod) => !pod.ending && pod.readyMs !== undefined);
    // Where nobody was heard yet nothing is known of demand; where nobody runs there is nobody to hear.
    const ageMs = anyone ? now - (memory.heardMs ?? Number.NEGATIVE_INFINITY) : undefined;
    const list = world.priceList();
    const cold = memory.coldStarts.count > 0 ? memory.coldStarts : allColdStarts;
    const priceOf = (pod: ObservedPod) => (list ? priceOfNode(list, world.nodeLabels(pod.node)) : undefined);
    memory.price = runningPrice({ heard, priceOf }) ?? memory.price;
    const problem = problemOf({
      nowMs: now,
      observed,
      policy,
      heard,
      demand: memory.demand.state(now, ageMs),
      coldStart: cold.distribution(),
      priceOf,
      // What it cost when it last ran, if that was in today's currency.
      priceOtherwise:
        (memory.price?.currency === list?.spec.currency ? memory.price : undefined) ?? world.dearestPrice(),
      previous: memory.plan,
      curves: memory.curves,
      planEveryMs: periodMs,
    });
    if (!problem) return nothingPlanned('NoRevision', 'there is no revision to plan for');
    const current = new Map(problem.revisions.map(({ name }) => [name, askedFor(observed, name)]));
    const plan = restrained(planService(problem), { mayLower, current });
    return plannedFrom(problem, plan);
  }

  /** Events and log lines, where something changed. A leader that starts anew goes on from what the status says was told. */
  #say(
    key: string,
    target: Target,
    memory: ServiceMemory,
    plan: ServicePlan | undefined,
    enforced: Enforced,
    told: InferencePolicyStatus['plan'],
  ): void {
    const { log, events, metrics } = this.#parts;
    const subject = subjectOf(target);
    const reason = plan && planReasonName(plan.reason);
    const before = memory.plan ? { ...memory.plan, reason: planReasonName(memory.plan.reason) } : told;
    const changed = plan && (before?.reason !== reason || before?.replicas !== plan.replicas);
    if (plan && reason && (changed || enforced.changes.length > 0)) {
      metrics.decided(reason);
      log.info(
        { service: key, reason, plan: shownPlan(plan), score: memory.score, changes: enforced.changes },
        'decided',
      );
      void events.record(subject, 'Normal', reason, planMessage(plan));
    }
    for (const { reason, message } of enforced.notes) void events.record(subject, 'Normal', reason, message);
    const refusal = enforced.refused && `${enforced.refused.reason}: ${enforced.refused.message}`;
    if (enforced.refused && enforced.refused.reason !== 'RateLimited' && refusal !== memory.refusal) {
      const { reason, message } = enforced.refused;
      log.warn({ service: key, reason, detail: message }, 'not enforced');
      void events.record(subject, 'Warning', reason, message);
    }
    memory.refusal = refusal;
  }

  async #report(
    memory: ServiceMemory,
    choice: Choice,
    findings: Findings,
    policy: ServicePolicy | undefined,
    observed: Observations | undefined,
  ): Promise<void> {
    const { clock } = this.#parts;
    const stored = choice.chosen as StoredPolicy;
    const now = clock.monotonicMs();
    const told = stored.value.status;
    // Once the watch has told us what we wrote, one copy is enough: those of thousands of services are tens of megabytes.
    if (memory.status && told?.decidedAt !== undefined && told.decidedAt === memory.status.written.decidedAt)
      memory.status = { written: told, atMs: memory.status.atMs };
    const previous = memory.status?.written ?? told;
    const status = statusOf({
      nowMs: clock.wallMs(),
      generation: stored.generation,
      findings,
      policy,
      plan: memory.plan && policy?.mode !== 'off' ? memory.plan : undefined,
      observed,
      saving: savingOf(memory, policy),
      rollout: memory.rollout ?? stored.value.status?.rollout,
      previous,
    });
    if (previous && !differs(previous, status)) return;
    if (memory.status && now - memory.status.atMs < statusPeriodMs) return;
    if (!this.#parts.leads()) return;
    await this.#writeStatus(stored, status);
    memory.status = { written: status, atMs: now };
    this.#parts.metrics.wroteStatus();
  }

  /** Policies that do not hold say so themselves. */
  async #sayConflicts({ chosen, others }: Choice): Promise<void> {
    for (const other of others) {
      const message = `${chosen?.name} is for the same service and holds`;
      await this.#writeFindings(other, { Accepted: finding('False', 'Conflicted', message) });
    }
  }

  async #writeFindings(stored: StoredPolicy, findings: Findings): Promise<void> {
    const previous = stored.value.status;
    const status = statusOf({
      nowMs: this.#parts.clock.wallMs(),
      generation: stored.generation,
      findings,
      policy: undefined,
      plan: undefined,
      observed: undefined,
      saving: undefined,
      rollout: previous?.rollout,
      previous,
    });
    if (previous && !differs(previous, status)) return;
    if (this.#parts.leads()) await this.#writeStatus(stored, status);
  }

  async #writeStatus({ namespace, name }: StoredPolicy, status: InferencePolicyStatus): Promise<void> {
    const { api } = this.#parts;
    await api.apply(
      kinds.inferencePolicy,
      { metadata: { namespace, name }, status },
      { subresource: 'status', force: true },
    );
  }

  #context(): ActuationContext {
    const { api, log, clock, leads, transitions } = this.#parts;
    return { api, log, nowMs: clock.wallMs(), monotonicMs: clock.monotonicMs(), leads, transitions };
  }
}

export function subjectOf({ target, uid }: Target): EventSubject {
  const { group, kind, namespace, name } = target;
  const version = group === 'serving.kserve.io' ? 'v1beta1' : 'v1';
  return { apiVersion: `${group}/${version}`, kind, namespace, name, uid };
}
