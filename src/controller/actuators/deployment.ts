import { isNotFound } from '../../kube/kube-error.ts';
import { kinds, type ObjectName } from '../../kube/objects.ts';
import type { ObservedDeployment } from '../reconcile/observed.ts';
import type { Actuation, ActuationContext, ActuationRefusal, Actuator } from './actuator.ts';
import { revertsMax } from './foreign-writes.ts';
import { managerFor } from './held-replicas.ts';
import { holdingText, originalKey, parseHolding } from './originals.ts';
import { WriteLimit } from './write-limit.ts';

/** A Deployment in Standard mode, with the InferencePolicy on which the writes of others are counted. */
export interface DeploymentTarget {
  readonly deployment: ObservedDeployment;
  readonly autoscaler: string;
  /** Undefined where the service has none (any more). */
  readonly policy: ObjectName | undefined;
  /** `paceline.dev/original` of the InferencePolicy. */
  readonly holding: string | undefined;
}

/** A write of ours, until the watch has shown it. */
interface Written {
  readonly replicas: number;
  readonly before: number;
  /** The version that it made. */
  readonly version: string;
}

const key = originalKey(kinds.inferencePolicy);
const remembered = 50_000;

/**
 * Scales a Deployment by its scale subresource. Only with KServe's autoscalerClass `external` are its replicas nobody
 * else's: with `hpa` and `keda` an autoscaler owns them, and with `none` KServe reverts every change at once.
 *
 * The original is kept on the Deployment itself, by the same write (held-replicas.ts): it outlives the policy and us.
 */
export class ScaleDeployment implements Actuator<{ readonly replicas: number }, DeploymentTarget> {
  readonly name = 'deployment';
  readonly #limit = new WriteLimit();
  /** By UID: a new Deployment of the same name is another one. */
  readonly #written = new Map<string, Written>();

  async apply(
    { replicas }: { readonly replicas: number },
    target: DeploymentTarget,
    context: ActuationContext,
  ): Promise<Actuation> {
    const { deployment, autoscaler } = target;
    const { namespace, name, uid } = deployment;
    if (autoscaler !== 'external') {
      return refusal('AdviceOnly', `what scales it is ${autoscaler}: set serving.kserve.io/autoscalerClass: external`);
    }
    const counted = parseHolding(target.holding)?.reverts ?? 0;
    if (counted >= revertsMax) return foreignWriter(deployment);
    const { present, before, foreign } = this.#look(deployment);
    if (!foreign && replicas === present) return { changes: [] };
    if (!context.leads()) return refusal('NotLeader', 'the lease was lost');
    if (foreign) {
      await this.#count(target, counted + 1, context);
      this.#written.delete(uid);
      if (counted + 1 >= revertsMax) return foreignWriter(deployment);
      if (replicas === present) return { changes: [] };
    }
    // More replicas never wait: a promise is at stake, and the plan has its own brake.
    if (replicas <= present && !this.#limit.take(uid, context.nowMs)) {
      return refusal('RateLimited', `${name}: written too often`);
    }
    const original = before ?? present;
    const version = await context.api.scale(kinds.deployment, { namespace, name }, replicas, managerFor(original));
    this.#written.delete(uid);
    this.#written.set(uid, { replicas, before: original, version });
    if (this.#written.size > remembered) this.#written.delete(this.#written.keys().next().value as string);
    return { changes: [`deployment ${name}: replicas ${present} -> ${replicas}`] };
  }

  async giveBack(target: DeploymentTarget, context: ActuationContext): Promise<void> {
    const { deployment, policy, holding } = target;
    if (!context.leads()) return;
    const { present, before } = this.#look(deployment);
    const { namespace, name, uid } = deployment;
    try {
      if (before !== undefined && before !== present) {
        await context.api.scale(kinds.deployment, { namespace, name }, before);
      }
      this.#written.delete(uid);
      if (policy && holding !== undefined) await this.#annotate(policy, null, context);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** What is there now: a watch may be behind what we wrote. Only what came after our own write is somebody else's. */
  #look(deployment: ObservedDeployment): { present: number; before: number | undefined; foreign: boolean } {
    const written = this.#written.get(deployment.uid);
    const { replicas, replicasBefore } = deployment;
    if (written && isOlder(deployment.resourceVersion, written.version)) {
      return { present: written.replicas, before: written.before, foreign: false };
    }
    const foreign = written !== undefined && replicasBefore === undefined && written.replicas !== replicas;
    return { present: replicas, before: replicasBefore, foreign };
  }

  async #count({ policy }: DeploymentTarget, reverts: number, context: ActuationContext): Promise<void> {
    if (policy) await this.#annotate(policy, holdingText({ original: {}, applied: {}, reverts }), context);
  }

  async #annotate(policy: ObjectName, text: string | null, { api }: ActuationContext): Promise<void> {
    await api.mergePatch(kinds.inferencePolicy, policy, { metadata: { annotations: { [key]: text } } });
  }
}

/** Versions of one object are numbers that grow. */
function isOlder(version: string, than: string): boolean {
  return Number(version) < Number(than);
}

function foreignWriter({ name }: ObservedDeployment): Actuation {
  return refusal('ForeignWriter', `${name}: somebody else changed its replicas three times`);
}

function refusal(reason: ActuationRefusal, message: string): Actuation {
  return { changes: [], refused: { reason, message } };
}
