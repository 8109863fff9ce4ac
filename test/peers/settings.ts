// Where what the peers are made of is kept, and which they are.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const sources = fileURLToPath(new URL('.', import.meta.url));
export const projectRoot = join(sources, '../..');

/** Python environments are made below this folder. Knative's and KServe's programs are where the test cluster has them. */
export const directory =
  process.env.PACELINE_PEERS_DIR || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'paceline-peers');

/** Environments of Python, each with everything in it pinned by requirements/NAME.txt. */
export const environments = ['kserve', 'mlserver', 'bentoml'] as const;
export type EnvironmentName = (typeof environments)[number];
