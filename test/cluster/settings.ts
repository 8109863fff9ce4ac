// Where the test cluster keeps things, what it is called and which versions it is made of.
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

export const sources = fileURLToPath(new URL('.', import.meta.url));
export const projectRoot = join(sources, '../..');

/** Everything that is built or runs is below this folder. */
export const directory =
  process.env.PACELINE_CLUSTER_DIR ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'paceline-cluster');

export const paths = {
  bin: join(directory, 'bin'),
  modules: join(directory, 'go'),
  images: join(directory, 'images'),
  manifests: join(directory, 'manifests'),
  logs: join(directory, 'logs'),
  /** What one life of the cluster leaves: `down` removes it. */
  run: join(directory, 'run'),
  kubeconfig: join(directory, 'run/admin.kubeconfig'),
};

/** Tells clusters apart that run at the same time: those of two folders. */
export const clusterName =
  process.env.PACELINE_CLUSTER_DIR === undefined
    ? 'paceline'
    : `paceline-${createHash('sha256').update(directory).digest('hex').slice(0, 6)}`;

/** The network namespace that the whole cluster is in, with no way out of it. */
export const networkNamespace = clusterName;
export const networkNamespacePath = `/run/netns/${networkNamespace}`;
export const nodeAddress = '10.99.0.1';
export const gatewayPort = 80;
export const ingressClass = 'paceline-test';
export const systemIngressClass = 'paceline-test.ingress.networking.knative.dev';

export const versions = {
  kubernetes: 'v1.34.4',
  etcd: 'v3.6.5',
  knative: { '1.23': 'v0.50.0', '1.21': 'v0.48.1' },
  kserve: 'v0.17.0',
};

/** How much is brought up; each level includes those before it. */
export const levels = ['k8s', 'knative', 'kserve'] as const;
export type Level = (typeof levels)[number];
export type KnativeLine = keyof typeof versions.knative;

export interface Choice {
  level: Level;
  knative: KnativeLine;
}

/**
 * Reads `--level` and `--knative`.
 *
 * @throws Error that names what is allowed.
 */
export function readChoice(args: string[]): Choice {
  const { values } = parseArgs({
    args,
    options: { level: { type: 'string', default: 'kserve' }, knative: { type: 'string', default: '1.23' } },
  });
  const level = levels.find((each) => each === values.level);
  if (!level) throw new Error(`--level is one of ${levels.join(', ')}, not ${values.level}`);
  const lines = Object.keys(versions.knative) as KnativeLine[];
  const knative = lines.find((line) => line === values.knative);
  if (!knative) throw new Error(`--knative is one of ${lines.join(', ')}, not ${values.knative}`);
  return { level, knative };
}

export function includes(level: Level, part: Level): boolean {
  return levels.indexOf(level) >= levels.indexOf(part);
}
