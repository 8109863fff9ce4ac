import { build, isBuilt, programPath } from '../cluster/build.ts';
import { progress } from '../cluster/command.ts';
import { withLock } from '../cluster/lock.ts';
import { knative, kserve, type Part } from '../cluster/parts.ts';
import { whyNoGo } from '../cluster/requirements.ts';

const waitMs = 900_000;
const queueProxyPart = knative('1.23');

/** KServe's agent and Knative's queue-proxy, as the test cluster runs them. */
export const programs = {
  agent: programPath(kserve, 'agent'),
  queueProxy: programPath(queueProxyPart, 'queue'),
} as const;

/** Why they cannot be built; undefined when they can. */
export const whyNoPrograms = whyNoGo;

/**
 * Builds both, unless the test cluster's cache has them. Where somebody else is building, waits.
 *
 * @throws Error with the compiler's last lines.
 */
export async function buildPrograms(): Promise<void> {
  const missing: Part[] = [];
  for (const part of [kserve, queueProxyPart]) if (!(await isBuilt(part))) missing.push(part);
  if (missing.length === 0) return;
  const deadline = Date.now() + waitMs;
  for (let said = false; ; said = true) {
    try {
      await withLock(async () => {
        for (const part of missing) await build(part);
      });
      return;
    } catch (error) {
      if (!/is changing the cluster/.test((error as Error).message) || Date.now() > deadline) throw error;
      if (!said) progress('the test cluster is being built or changed: waiting for it');
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}
