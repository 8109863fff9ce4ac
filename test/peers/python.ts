import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { progress, run } from '../cluster/command.ts';
import { directory, type EnvironmentName, sources } from './settings.ts';

/** The versions that every pinned package has a wheel for, the one that they were pinned with first. */
const versions = ['3.11', '3.12'];
const sayEveryMs = 15_000;

/** A Python that the peers run on: PACELINE_PYTHON or the first of fitting version on the path. */
export async function findPython(): Promise<{ python: string } | { reason: string }> {
  const named = process.env.PACELINE_PYTHON;
  const candidates = named ? [named] : [...versions.map((version) => `python${version}`), 'python3', 'python'];
  for (const candidate of candidates) {
    const script = 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2], sys.executable)';
    const said = await run(candidate, ['-c', script]).catch(() => '');
    const [version = '', executable = ''] = said.trim().split(' ');
    if (versions.includes(version)) return { python: executable };
  }
  const wanted = `Python ${versions.join(' or ')} with venv`;
  return { reason: named ? `PACELINE_PYTHON=${named} is no ${wanted}` : `there is no ${wanted}` };
}

/** Where a program of an environment is. */
export function environmentProgram(name: EnvironmentName, program = 'python'): string {
  return join(directory, name, 'bin', program);
}

/**
 * Makes an environment of exactly the pinned packages, unless it is there already.
 *
 * @throws Error with pip's last lines.
 */
export async function installEnvironment(name: EnvironmentName, python: string): Promise<void> {
  const requirements = join(sources, 'requirements', `${name}.txt`);
  const folder = join(directory, name);
  const stamp = createHash('sha256')
    .update(readFileSync(requirements))
    .update(await run(python, ['-VV']))
    .digest('hex');
  const stampFile = join(folder, 'stamp');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;

  const packages = readFileSync(requirements, 'utf8').match(/^[^#\s]/gm)?.length ?? 0;
  progress(`installing ${name}: ${packages} Python packages (about a minute)`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  await run(python, ['-m', 'venv', folder]);
  let fetched = 0;
  let saidAt = Date.now();
  const said = (line: string) => {
    if (line.startsWith('Collecting ')) fetched++;
    if (Date.now() - saidAt < sayEveryMs) return;
    saidAt = Date.now();
    progress(`  ${fetched < packages ? `${fetched} of ${packages} packages fetched` : 'unpacking'}`);
  };
  // What is pinned is all there is: a package that asks for one more fails here, and not in a test.
  await run(environmentProgram(name), [...pip, 'install', '--no-deps', '-r', requirements], { onLine: said });
  await run(environmentProgram(name), [...pip, 'check']);
  writeFileSync(stampFile, stamp);
  progress(`installed ${name}`);
}

const pip = ['-m', 'pip', '--disable-pip-version-check', '--no-input'];
