// What tests use the running cluster with. Test files directly below test/cluster/ run inside its network.
import { randomBytes } from 'node:crypto';
import { until } from '../command.ts';
import type { Manifest } from '../documents.ts';
import { kubectl } from '../kubectl.ts';

export { until } from '../command.ts';
export { apply, kubectl } from '../kubectl.ts';

/** An object as the API server answers it. Fields that a test reads are given by the type argument. */
export type Live<Fields = object> = Manifest & {
  metadata: Manifest['metadata'] & { uid: string; resourceVersion: string; generation: number };
} & Fields;

interface WithConditions {
  status?: { conditions?: { type: string; status: string; reason?: string; message?: string }[] };
}

/** Applies objects, as a user would. */
export async function applyAsUser(...objects: Manifest[]): Promise<void> {
  await kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
}

/** @throws Error where there is no such object. */
export async function get<Fields>(kind: string, namespace: string, name: string): Promise<Live<Fields>> {
  return JSON.parse(await kubectl(['-n', namespace, 'get', kind, name, '-o', 'json'])) as Live<Fields>;
}

export async function list<Fields>(kind: string, namespace: string, selector = ''): Promise<Live<Fields>[]> {
  const answer = await kubectl(['-n', namespace, 'get', kind, '-o', 'json', ...(selector ? ['-l', selector] : [])]);
  return (JSON.parse(answer) as { items: Live<Fields>[] }).items;
}

/** Merges a patch into an object. */
export async function patch(kind: string, namespace: string, name: string, change: object): Promise<void> {
  await kubectl(['-n', namespace, 'patch', kind, name, '--type=merge', '-p', JSON.stringify(change)]);
}

/**
 * Waits until an object's condition Ready is true for what its spec says now.
 *
 * @returns how long it took, milliseconds.
 * @throws Error with the object's conditions when the time is over.
 */
export async function ready(kind: string, namespace: string, name: string, timeoutMs = 120_000): Promise<number> {
  const started = Date.now();
  let last: WithConditions | undefined;
  try {
    await until(
      `${kind} ${namespace}/${name} to be Ready`,
      async () => {
        const object = await get<WithConditions & { status?: { observedGeneration?: number } }>(kind, namespace, name);
        last = object;
        const current = (object.status?.observedGeneration ?? object.metadata.generation) >= object.metadata.generation;
        return current && object.status?.conditions?.find((each) => each.type === 'Ready')?.status === 'True';
      },
      timeoutMs,
    );
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${JSON.stringify(last?.status?.conditions ?? [], null, 1)}`);
  }
  return Date.now() - started;
}

export interface Pod {
  spec: { containers: { name: string; image: string; env?: { name: string; value?: string }[] }[] };
  status: {
    phase: string;
    podIP?: string;
    conditions?: { type: string; status: string; lastTransitionTime: string }[];
    containerStatuses?: { name: string; ready: boolean; restartCount: number }[];
  };
}

/** Pods that are not on their way out. */
export async function livePods(namespace: string, selector: string): Promise<Live<Pod>[]> {
  const all = await list<Pod & { metadata: { deletionTimestamp?: string } }>('pods', namespace, selector);
  return all.filter((pod) => pod.metadata.deletionTimestamp === undefined);
}

export function isReady(pod: Live<Pod>): boolean {
  return pod.status.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') ?? false;
}

/**
 * Makes a namespace of its own for a test file. `remove` asks for its deletion, with everything in it, and does not wait
 * for the end: Kubernetes looks again after half the longest grace period of a pod, which is minutes for Knative's.
 */
export async function temporaryNamespace(
  prefix: string,
  labels: Record<string, string> = {},
): Promise<{ name: string; remove: () => Promise<void> }> {
  const name = `${prefix}-${randomBytes(3).toString('hex')}`;
  await kubectl(
    ['create', '-f', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }),
  );
  return {
    name,
    remove: async () => {
      await kubectl(['delete', 'namespace', name, '--wait=false']);
    },
  };
}
