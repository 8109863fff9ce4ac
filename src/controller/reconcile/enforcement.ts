import { kinds } from '../../kube/objects.ts';
import type { ServicePlan } from '../../planner/service-plan.ts';
import type { ServiceProblem } from '../../planner/service-problem.ts';
import type { ServicePolicy } from '../../policy/service-policy.ts';
import type { Actuation, ActuationContext } from '../actuators/actuator.ts';
import { classOf, isForOwnClass, knativeClass } from '../actuators/autoscaler-class.ts';
import type { Batch, BatchOrder } from '../actuators/batch.ts';
import type { OwnClass } from '../actuators/class.ts';
import type { DeploymentTarget, ScaleDeployment } from '../actuators/deployment.ts';
import type { Steer } from '../actuators/steer.ts';
import { finding } from './choice.ts';
import type { ObservedService } from './observed.ts';
import type { HeardFrom } from './problem.ts';
import type { RolloutInput, RolloutOutcome, RolloutStep } from './rollout-step.ts';
import type { ServiceMemory } from './service-memory.ts';
import type { Finding } from './status.ts';
import type { StoredPolicy } from './stored-policies.ts';

export interface Enforceable {
  readonly key: string;
  readonly observed: ObservedService;
  readonly policy: ServicePolicy;
  readonly plan: ServicePlan | undefined;
  readonly problem: ServiceProblem | undefined;
  readonly stored: StoredPolicy;
  readonly heard: readonly HeardFrom[];
  readonly memory: ServiceMemory;
  readonly variantsOf: RolloutInput['variantsOf'];
}

/** What came of a pass's writes. */
export interface Enforced extends Actuation {
  readonly notes: readonly { readonly reason: string; readonly message: string }[];
  readonly pollMs: number | undefined;
}

export interface Actuators {
  readonly steer: Steer;
  readonly ownClass: OwnClass;
  readonly deployment: ScaleDeployment;
  readonly batch: Batch;
  readonly rollout: RolloutStep;
}

/** Which actuators a mode calls, and with what. In `advise` and `off` what was held is given back. */
export class Enforcement {
  readonly #actuators: Actuators;

  constructor(actuators: Actuators) {
    this.#actuators = actuators;
  }

  async enforce(what: Enforceable, context: ActuationContext): Promise<Enforced> {
    const { observed, policy, plan, memory, stored } = what;
    const results: Actuation[] = [];
    let rollout: RolloutOutcome = { floors: [] };
    if (policy.mode !== 'off') rollout = await this.#actuators.rollout.look(this.#rolloutInput(what, context));
    if (policy.mode === 'act') {
      memory.mayHold = true;
      memory.advisingSinceMs = undefined;
      results.push(await this.#scale(what, plan, rollout, context));
    } else {
      // Also what was made since: nobody else would answer for it.
      await this.#actuators.ownClass.giveBack(observed, context);
      if (policy.mode === 'advise') {
        memory.advisingSinceMs ??= context.nowMs;
        if (plan) memory.savings.note(plan);
      }
      if (memory.mayHold) await this.giveBack(observed, stored, context);
      memory.mayHold = false;
    }
    results.push(await this.#batch(what, context));
    const refused = results.find((each) => each.refused)?.refused;
    return {
      changes: results.flatMap(({ changes }) => changes),
      ...(refused ? { refused } : {}),
      notes: rollout.changes ?? [],
      pollMs: rollout.pollMs,
    };
  }

  /** What must go on while nothing can be decided. */
  async keep(observed: ObservedService, context: ActuationContext): Promise<void> {
    await this.#actuators.ownClass.keep(observed, context);
  }

  /** Restores whatever is held of a service that wants us no more. */
  async leave(observed: ObservedService, stored: StoredPolicy | undefined, context: ActuationContext): Promise<void> {
    await this.#actuators.ownClass.leave(observed, context);
    await this.giveBack(observed, stored, context);
  }

  /** Restores whatever is held of a service. */
  async giveBack(
    observed: ObservedService,
    stored: StoredPolicy | undefined,
    context: ActuationContext,
  ): Promise<void> {
    const { steer, deployment, rollout } = this.#actuators;
    await steer.giveBack(observed, context);
    const target = deploymentTarget(observed, stored);
    if (target) await deployment.giveBack(target, context);
    if (stored?.value.status?.rollout) {
      await rollout.giveBack({
        observed,
        pods: [],
        status: stored.value.status.rollout,
        store: storeRollout(stored, undefined, context),
        context,
      });
    }
  }

  async #scale(
    { observed, stored }: Enforceable,
    plan: ServicePlan | undefined,
    { floors }: RolloutOutcome,
    context: ActuationContext,
  ): Promise<Actuation> {
    const { steer, ownClass, deployment } = this.#actuators;
    const { revisions } = observed;
    // Who scales is said by each Revision: while the class of a service changes it has both kinds.
    const ours = revisions.filter(isForOwnClass);
    const kept = await ownClass.apply({ plan, floors }, { ...observed, revisions: ours }, context);
    if (!plan) return kept;
    const steered = revisions.filter((each) => !isForOwnClass(each) && classOf(each) === knativeClass);
    if (ours.length + steered.length > 0) {
      const told = await steer.apply({ plan, floors }, { ...observed, revisions: steered }, context);
      const refused = kept.refused ?? told.refused;
      return { changes: [...kept.changes, ...told.changes], ...(refused ? { refused } : {}) };
    }
    const target = deploymentTarget(observed, stored);
    if (target) return await deployment.apply({ replicas: plan.replicas }, target, context);
    const message = `what scales it is ${observed.autoscaler}: its replicas are not ours to set`;
    return { changes: [], refused: { reason: 'AdviceOnly', message } };
  }

  async #batch({ observed, policy, plan, heard }: Enforceable, context: ActuationContext): Promise<Actuation> {
    const { mode, sloMs, sloQuantile, late, lateTimeoutMs, maxBatchSize, patience } = policy;
    const order: BatchOrder = {
      mode,
      sloMs,
      sloQuantile,
      late,
      lateTimeoutMs,
      batches: new Map(
        plan?.revisions.map(({ name, batch }) => [name, { ...batch, patience: rounded(batch.patience) }]),
      ),
      otherwise: { maxBatchSize, patience },
    };
    const pods = heard.map(({ pod, report }) => ({
      ...pod,
      heard: report !== undefined,
      sequence: report?.signals.policySequence,
    }));
    return await this.#actuators.batch.apply(order, { uid: observed.uid, pods }, context);
  }

  #rolloutInput(
    { observed, policy, plan, problem, heard, memory, stored, variantsOf }: Enforceable,
    context: ActuationContext,
  ): RolloutInput {
    const running = plan && plan.expect.replicas > 0 ? plan.expect.costPerHour / plan.expect.replicas : undefined;
    const price = running ?? policy.replicaCost?.perHour ?? memory.price?.perHour;
    return {
      observed,
      policy,
      plan,
      problem,
      pods: heard.map(({ pod, report }) => ({
        name: pod.name,
        uid: pod.uid,
        revision: pod.revision,
        ready: pod.readyMs !== undefined,
        signals: report?.signals,
      })),
      prices: new Map(price === undefined ? [] : observed.revisions.map(({ name }) => [name, price])),
      variantsOf,
      status: memory.rollout ?? stored.value.status?.rollout,
      store: storeRollout(stored, memory, context),
      context,
    };
  }
}

/** Intent first: what a rollout is about to do is in the status before it is done. */
function storeRollout(stored: StoredPolicy, memory: ServiceMemory | undefined, context: ActuationContext) {
  return async (rollout: NonNullable<ServiceMemory['rollout']>): Promise<void> => {
    const { namespace, name } = stored;
    await context.api.mergePatch(
      kinds.inferencePolicy,
      { namespace, name },
      { status: { rollout } },
      { subresource: 'status' },
    );
    if (memory) memory.rollout = rollout;
  };
}

function deploymentTarget(
  { deployment, autoscaler }: ObservedService,
  stored: StoredPolicy | undefined,
): DeploymentTarget | undefined {
  const policy = stored && { namespace: stored.namespace, name: stored.name };
  return deployment && { deployment, autoscaler, policy, holding: stored?.holding };
}

/** Patience in twentieths: a companion need not be told of less. */
function rounded(patience: number | 'auto'): number | 'auto' {
  return patience === 'auto' ? patience : Math.round(patience * 20) / 20;
}

/** What the Enforced condition says. */
export function enforcedFinding(
  mode: ServicePolicy['mode'],
  plan: ServicePlan | undefined,
  enforced: Enforced,
): Finding {
  if (mode === 'off') return finding('False', 'Off', 'mode off: companions pass requests through');
  if (mode === 'advise') return finding('False', 'Advised', 'mode advise: decided and reported, nothing is changed');
  // What waits for its turn is finer settings only: the replicas of the plan are there.
  if (enforced.refused?.reason === 'RateLimited')
    return finding('True', 'Enforced', 'the plan is in force; finer settings wait');
  if (enforced.refused) return finding('False', enforced.refused.reason, enforced.refused.message);
  if (!plan) return finding('Unknown', 'NotPlanned', 'there is no plan to carry out');
  return finding('True', 'Enforced', 'the plan is in force');
}
