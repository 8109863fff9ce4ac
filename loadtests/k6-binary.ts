import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheFolder } from '../scripts/manifests/tools.ts';

/** The version that loadtests/k6/go.mod asks for. */
export const k6Version = 'v2.2.0';
const moduleFolder = fileURLToPath(new URL('k6', import.meta.url));

/** Where the built program is kept. */
export function builtK6(): string {
  return join(cacheFolder(), 'bin', `k6-${k6Version}`);
}

/**
 * A k6 of version 2: the one that is named, the one that was built, or the one on the path.
 *
 * @throws when there is none or the named one is too old, with what to do about it.
 */
export async function findK6(named?: string): Promise<string> {
  if (named !== undefined) {
    const version = await versionOf(named);
    if (version === undefined) throw new Error(`${named} is not a k6: leave --k6 out to use the built one`);
    if (!isSecond(version)) throw new Error(`${named} is k6 ${version}, and the scripts need version 2`);
    return named;
  }
  for (const path of [builtK6(), 'k6']) {
    const version = await versionOf(path);
    if (version !== undefined && isSecond(version)) return path;
  }
  throw new Error(
    'there is no k6 of version 2: `npm run loadtest -- --build-k6` builds one (Go 1.25, 3 minutes), or name yours with --k6',
  );
}

/**
 * Builds k6 from its Go module. `go install` does not find it under its own name, so that a module of ours asks for it.
 *
 * @throws without Go, or when the build fails.
 */
export async function buildK6(): Promise<string> {
  const target = builtK6();
  if (existsSync(target)) return target;
  try {
    execFileSync('go', ['version'], { stdio: 'ignore' });
  } catch {
    throw new Error(
      'k6 is built with Go, which is not installed: see https://go.dev/doc/install, or name a k6 with --k6',
    );
  }
  mkdirSync(join(target, '..'), { recursive: true });
  const part = `${target}.${process.pid}`;
  const child = spawn('go', ['build', '-trimpath', '-ldflags=-s -w', '-o', part, 'go.k6.io/k6/v2'], {
    cwd: moduleFolder,
    env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod -buildvcs=false' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`building k6 failed (go build ended with ${code})`);
  renameSync(part, target);
  return target;
}

async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(path, ['version']);
    return /\bv(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

function isSecond(version: string): boolean {
  return version.startsWith('2.');
}
