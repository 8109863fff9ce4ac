import { type Chance, type Clock, pause } from '../kube/clock.ts';
import type { KubeApi } from '../kube/kube-api.ts';
import { isConflict, isNotFound } from '../kube/kube-error.ts';
import { LeaseElection } from '../kube/lease-election.ts';
import { listAll } from '../kube/list-all.ts';
import { kinds, type ObjectName } from '../kube/objects.ts';
import { podAutoscalerClass } from '../policy/service-view.ts';
import type { Log } from '../telemetry/log.ts';
import { classKey, handedOverKey, handOverAnnotations } from './actuators/autoscaler-class.ts';
import { replicasBefore } from './actuators/held-replicas.ts';
import { holdingOf, originalKey } from './actuators/originals.ts';
import { batcherAnnotation } from './admission/inference-service.ts';
import { uninstallHoldMs, uninstallIdentity } from './uninstall-lease.ts';

export interface UninstallParts {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly log: Log;
  readonly lease: ObjectName;
  /** Unique among all that ever run. */
  readonly identity: string;
  /** How long to wait for the lease. */
  readonly timeoutMs: number;
}

export interface GivenBack {
  readonly restored: number;
  /** What could not be restored, and why. */
  readonly failed: readonly string[];
}

const tries = 5;
/** A leader that lost its lease notices with its next renewal, or when it has not renewed for ten seconds. */
const letGoMs = 10_000;
const webhooksName = 'paceline.dev';
const predictorLabel = 'serving.kserve.io/inferenceservice';
const countKey = originalKey(kinds.inferencePolicy);

/**
 * Gives everything back. It takes the controller's lease first, so that nothing is written again behind its back, and
 * takes the webhooks out, so that what it restores stays restored. The lease stays taken for ten minutes.
 *
 * @throws {Error} where a running controller does not let go of the lease in time.
 */
export async function uninstall(parts: UninstallParts): Promise<GivenBack> {
  const { api, log } = parts;
  await takeLease(parts);
  for (const kind of [kinds.mutatingWebhook, kinds.validatingWebhook]) {
    await ignoringAbsence(() => api.mergePatch(kind, { name: webhooksName }, { webhooks: [] }));
  }
  const failed: string[] = [];
  let restored = 0;
  const restore = async (what: string, run: () => Promise<boolean>) => {
    try {
      if (await retried(run)) {
        restored++;
        log.info({ what }, 'given back');
      }
    } catch (error) {
      failed.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  for await (const { metadata } of listAll(api, kinds.podAutoscaler)) {
    if (metadata.annotations?.[classKey] !== podAutoscalerClass) continue;
    // Its name is its Revision's. Nobody would answer for it any more.
    const what = `revision ${metadata.namespace}/${metadata.name}`;
    await restore(`${what} (class)`, () => handOver(api, metadata));
  }
  for await (const { metadata } of listAll(api, kinds.revision)) {
    const { annotations = {} } = metadata;
    const what = `revision ${metadata.namespace}/${metadata.name}`;
    if (annotations[originalKey(kinds.revision)] !== undefined) {
      await restore(what, () => restoreRevision(api, metadata));
    }
    if (annotations[handedOverKey] !== undefined) await restore(`${what} (class)`, () => handOver(api, metadata));
  }
  for await (const { metadata } of listAll(api, kinds.deployment, { labelSelector: predictorLabel })) {
    if (replicasBefore(metadata) !== undefined) {
      await restore(`deployment ${metadata.namespace}/${metadata.name}`, () => restoreDeployment(api, metadata));
    }
  }
  const walked = new Set<string>();
  for await (const { metadata, spec, status } of listAll(api, kinds.inferencePolicy)) {
    const target = (spec as { targetRef?: { name?: string } } | undefined)?.targetRef?.name;
    if ((status as { rollout?: object } | undefined)?.rollout) walked.add(`${metadata.namespace}/${target}`);
    if (metadata.annotations?.[countKey] !== undefined) {
      await restore(`policy ${metadata.namespace}/${metadata.name}`, () => forgetCount(api, metadata));
    }
  }
  for await (const { metadata } of listAll(api, kinds.inferenceService)) {
    const annotations = metadata.annotations ?? {};
    const service = `${metadata.namespace}/${metadata.name}`;
    if (annotations[classKey] === podAutoscalerClass) {
      log.warn(
        { service, class: podAutoscalerClass },
        'its next revision waits for this class: take the annotation out',
      );
    }
    if (annotations[batcherAnnotation] !== undefined || walked.has(service)) {
      await restore(`inferenceservice ${service}`, () => restoreService(api, metadata, walked.has(service)));
    }
  }
  return { restored, failed };
}

/** Waits for the lease, by force: whoever holds it stops writing when it is somebody else's. */
async function takeLease({ api, clock, chance, log, lease, identity, timeoutMs }: UninstallParts): Promise<void> {
  await ignoringAbsence(() =>
    retried(async () => {
      const held = await api.get(kinds.lease, lease);
      const spec = { ...(held.spec as object), holderIdentity: '' };
      await api.replace(kinds.lease, { metadata: held.metadata, spec });
      return true;
    }),
  );
  const holder = { identity: uninstallIdentity(identity), durationMs: uninstallHoldMs };
  const election = new LeaseElection({ lease, api, clock, chance, log, retryMs: 200, ...holder });
  election.start();
  const endMs = clock.monotonicMs() + timeoutMs;
  while (!election.leads) {
    if (clock.monotonicMs() > endMs) {
      await election.stop();
      throw new Error(
        `the controller did not let go of its lease ${lease.namespace}/${lease.name}: stop it and try again`,
      );
    }
    await pause(clock, 100);
  }
  await pause(clock, letGoMs);
}

async function restoreRevision(api: KubeApi, name: ObjectName): Promise<boolean> {
  const prefix = 'autoscaling.knative.dev/';
  const { metadata, ...rest } = await api.get(kinds.revision, name);
  const held = holdingOf(kinds.revision, { metadata, ...rest });
  const annotations: Record<string, string | null> = { [originalKey(kinds.revision)]: null };
  for (const [field, written] of Object.entries(held?.applied ?? {})) {
    if (metadata.annotations?.[prefix + field] === written) annotations[prefix + field] = held?.original[field] ?? null;
  }
  const { resourceVersion } = metadata;
  await api.mergePatch(kinds.revision, name, { metadata: { resourceVersion, annotations } });
  return true;
}

async function handOver(api: KubeApi, name: ObjectName): Promise<boolean> {
  const { metadata } = await api.get(kinds.revision, name);
  const { resourceVersion } = metadata;
  const annotations = { ...handOverAnnotations(metadata.annotations ?? {}), [handedOverKey]: null };
  await api.mergePatch(kinds.revision, name, { metadata: { resourceVersion, annotations } });
  return true;
}

async function restoreDeployment(api: KubeApi, name: ObjectName): Promise<boolean> {
  const { metadata, spec } = await api.get(kinds.deployment, name);
  const before = replicasBefore(metadata);
  // Back at what they were: their manager's name says so for as long as they stay.
  if (before === undefined || before === (spec as { replicas?: number } | undefined)?.replicas) return false;
  await api.scale(kinds.deployment, name, before);
  return true;
}

/** How often others wrote a Deployment's replicas is of no use any more. */
async function forgetCount(api: KubeApi, name: ObjectName): Promise<boolean> {
  await api.mergePatch(kinds.inferencePolicy, name, { metadata: { annotations: { [countKey]: null } } });
  return true;
}

/**
 * Takes back the batcher that admission added, and the share of a rollout where that moves no traffic: a share below 100
 * keeps everything from an unproven revision, and is the user's from then on.
 */
async function restoreService(api: KubeApi, name: ObjectName, walked: boolean): Promise<boolean> {
  const { metadata, spec } = await api.get(kinds.inferenceService, name);
  const { predictor = {} } = (spec ?? {}) as {
    predictor?: { batcher?: { maxBatchSize?: number; maxLatency?: number }; canaryTrafficPercent?: number };
  };
  const note = metadata.annotations?.[batcherAnnotation];
  const { batcher } = predictor;
  const ours = batcher != null && note === `${batcher.maxBatchSize}/${batcher.maxLatency}`;
  const promoted = walked && predictor.canaryTrafficPercent === 100;
  if (!promoted && note === undefined) return false;
  const change = { ...(ours ? { batcher: null } : {}), ...(promoted ? { canaryTrafficPercent: null } : {}) };
  const annotations = { [batcherAnnotation]: null };
  const { resourceVersion } = metadata;
  const patch = { metadata: { resourceVersion, annotations }, spec: { predictor: change } };
  await api.mergePatch(kinds.inferenceService, name, patch);
  return true;
}

async function retried(run: () => Promise<boolean>): Promise<boolean> {
  for (let i = 1; ; i++) {
    try {
      return await run();
    } catch (error) {
      if (isNotFound(error)) return false;
      if (!isConflict(error) || i >= tries) throw error;
    }
  }
}

async function ignoringAbsence(run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
