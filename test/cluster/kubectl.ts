import { existsSync } from 'node:fs';
import { programPath } from './build.ts';
import { run } from './command.ts';
import { listOf, type Manifest } from './documents.ts';
import { kubernetes } from './parts.ts';
import { networkNamespacePath, paths } from './settings.ts';

/** Who writes what the cluster is made of. */
export const fieldManager = 'paceline-test-cluster';

/** What to put before a command so that it can reach the cluster. */
export const enterNetwork = ['nsenter', `--net=${networkNamespacePath}`] as const;

/**
 * Runs kubectl against the cluster as its administrator.
 *
 * @throws Error with what kubectl said.
 */
export function kubectl(args: readonly string[], input?: string): Promise<string> {
  if (!existsSync(paths.kubeconfig)) throw new Error('the cluster is not running: npm run cluster:up');
  const [program, ...prefix] = enterNetwork;
  return run(program, [...prefix, programPath(kubernetes, 'kubectl'), ...args], {
    env: { ...process.env, KUBECONFIG: paths.kubeconfig },
    ...(input === undefined ? {} : { input }),
  });
}

/** Applies objects server-side, taking over the fields that another manager has. */
export async function apply(objects: readonly Manifest[]): Promise<void> {
  const args = ['apply', '--server-side', '--force-conflicts', `--field-manager=${fieldManager}`, '-f', '-'];
  await kubectl(args, listOf(objects));
}

/** Waits until Deployments have all their pods available. */
export async function rolledOut(
  namespace: string,
  deployments: readonly string[],
  timeoutSeconds: number,
): Promise<void> {
  for (const name of deployments) {
    await kubectl(['-n', namespace, 'rollout', 'status', `deployment/${name}`, `--timeout=${timeoutSeconds}s`]);
  }
}
