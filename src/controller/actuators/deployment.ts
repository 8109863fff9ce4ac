import { isNotFound } from '../../kube/kube-error.ts';
import { kinds, type ObjectName } from '../../kube/objects.ts';
import type { ObservedDeployment } from '../reconcile/observed.ts';
import type { Actuation, ActuationContext, ActuationRefusal, Actuator } from './actuator.ts';
import { revertsMax } from './foreign-writes.ts';
import { type Holding, holdingText, originalKey, parseHolding } from './originals.ts';
import { WriteLimit } from './write-limit.ts';

/** A Deployment in Standard mode, with the InferencePolicy on which its original is kept. */
export interface DeploymentTarget {
  readonly deployment: ObservedDeployment;
  readonly autoscaler: string;
  readonly policy: ObjectName;
  /** `paceline.dev/original` of the InferencePolicy. */
  readonly holding: string | undefined;
}

const key = originalKey(kinds.inferencePolicy);

/**
 * Scales a Deployment by its scale subresource. Only with KServe's autoscalerClass `external` are its replicas nobody
 * else's: with `hpa` and `keda` an autoscaler owns them, and with `none` KServe reverts every change at once.
 *
 * We may not patch Deployments (that right includes their images), so that the original is kept on our own
 * InferencePolicy, and it is there before the Deployment is touched.
 */
export class ScaleDeployment implements Actuator<{ readonly replicas: number }, DeploymentTarget> {
  readonly name = 'deployment';
  readonly #limit = new WriteLimit();
  /** What we set last, by UID: the two objects are watched apart, so that one may be older than the other. */
  readonly #set = new Map<string, string>();

  async apply(
    { replicas }: { readonly replicas: number },
    target: DeploymentTarget,
    context: ActuationContext,
  ): Promise<Actuation> {
    const { deployment, autoscaler } = target;
    if (autoscaler !== 'external') {
      return refusal('AdviceOnly', `what scales it is ${autoscaler}: set serving.kserve.io/autoscalerClass: external`);
    }
    const wanted = String(replicas);
    const present = String(deployment.replicas);
    const field = fieldOf(deployment);
    const held = parseHolding(target.holding);
    const before = held?.applied[field];
    // An intent that was stored and not carried out leaves what was there before.
    const unfinished = held?.applied[`${field}.before`] === present;
    const foreign =
      before !== undefined && before !== present && !unfinished && this.#set.get(deployment.uid) !== present;
    const reverts = (held?.reverts ?? 0) + (foreign ? 1 : 0);
    if (held && held.reverts >= revertsMax) return foreignWriter(deployment);
    if (!foreign && before === wanted && present === wanted) return { changes: [] };
    if (!context.leads()) return refusal('NotLeader', 'the lease was lost');
    // More replicas never wait: a promise is at stake, and the plan has its own brake.
    if (replicas <= deployment.replicas && !this.#limit.take(deployment.uid, context.nowMs)) {
      return refusal('RateLimited', `${deployment.name}: written too often`);
    }
    const original = foreign || held === undefined ? present : (held.original[field] ?? present);
    const applied = reverts >= revertsMax ? {} : { [field]: wanted, [`${field}.before`]: present };
    await this.#store(target, { original: { [field]: original }, applied, reverts }, context);
    if (reverts >= revertsMax) return foreignWriter(deployment);
    const { namespace, name } = deployment;
    await context.api.scale(kinds.deployment, { namespace, name }, replicas);
    this.#set.set(deployment.uid, wanted);
    return { changes: [`deployment ${name}: replicas ${present} -> ${wanted}`] };
  }

  async giveBack(target: DeploymentTarget, context: ActuationContext): Promise<void> {
    const { deployment } = target;
    const held = parseHolding(target.holding);
    const field = fieldOf(deployment);
    if (!held || !context.leads()) return;
    const original = held.original[field];
    const ours = held.applied[field] === String(deployment.replicas);
    if (ours && typeof original === 'string') {
      await context.api.scale(kinds.deployment, deployment, Number(original));
    }
    this.#set.delete(deployment.uid);
    try {
      await context.api.mergePatch(kinds.inferencePolicy, target.policy, {
        metadata: { annotations: { [key]: null } },
      });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async #store(target: DeploymentTarget, holding: Holding, { api }: ActuationContext): Promise<void> {
    const text = holdingText(holding);
    if (text === target.holding) return;
    await api.mergePatch(kinds.inferencePolicy, target.policy, { metadata: { annotations: { [key]: text } } });
  }
}

/** A new Deployment of the same name is another one: what we hold of the old one says nothing about it. */
function fieldOf({ uid }: ObservedDeployment): string {
  return `replicas.${uid}`;
}

function foreignWriter({ name }: ObservedDeployment): Actuation {
  return refusal('ForeignWriter', `${name}: somebody else changed its replicas three times`);
}

function refusal(reason: ActuationRefusal, message: string): Actuation {
  return { changes: [], refused: { reason, message } };
}
