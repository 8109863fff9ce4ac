import type { ObjectMeta } from '../../kube/objects.ts';

/**
 * Where the replicas that a Deployment had before us are kept: in the name of the field manager with which we scale it.
 *
 * We may not patch Deployments (that right includes their images), and what is kept anywhere else is lost with that
 * object. The API server stores a manager's name on the Deployment by the same write that scales it, and takes it away
 * when somebody else changes the replicas: it is there exactly for as long as they are ours.
 */
const prefix = 'paceline-replicas-were-';

/** The field manager for a write to replicas that were `before`. */
export function managerFor(before: number): string {
  return `${prefix}${before}`;
}

/** What a Deployment's replicas were before us; undefined where somebody else set them last. */
export function replicasBefore({ managedFields }: Pick<ObjectMeta, 'managedFields'>): number | undefined {
  if (!Array.isArray(managedFields)) return undefined;
  for (const entry of managedFields as unknown[]) {
    const { manager, subresource, fieldsV1 } = (entry ?? {}) as Record<string, unknown>;
    if (typeof manager !== 'string' || !manager.startsWith(prefix) || subresource !== 'scale') continue;
    const spec = (fieldsV1 as { 'f:spec'?: object } | undefined)?.['f:spec'];
    const digits = manager.slice(prefix.length);
    if (spec && 'f:replicas' in spec && /^\d{1,9}$/.test(digits)) return Number(digits);
  }
  return undefined;
}
