import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { progress, run } from './command.ts';
import type { Part } from './parts.ts';
import { paths, sources } from './settings.ts';

const goEnvironment: NodeJS.ProcessEnv = {
  ...process.env,
  // What go.mod and go.sum say is what is built: a build that would change them fails.
  GOFLAGS: '-buildvcs=false -mod=readonly',
  GOTOOLCHAIN: 'local',
  GOWORK: 'off',
  CGO_ENABLED: '0',
};
const sayEveryMs = 20_000;

/**
 * Builds the programs of a part, unless they were built from the same sources by the same Go before.
 *
 * @returns whether anything had to be built.
 * @throws Error with the compiler's last lines.
 */
export async function build(part: Part): Promise<boolean> {
  if (await isBuilt(part)) return false;
  const stamp = await stampOf(part);
  const target = join(paths.bin, part.name);

  progress(`building ${part.name}: ${part.packages.length} programs (about ${part.takes} on two cores from nothing)`);
  const fresh = `${target}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  let packages = 0;
  let saidAt = Date.now();
  await run('go', ['build', '-v', '-trimpath', '-ldflags', part.flags.join(' '), '-o', `${fresh}/`, ...part.packages], {
    cwd: moduleOf(part),
    env: goEnvironment,
    onErrorLine: (line) => {
      if (!line.startsWith('go: ')) packages++;
      if (Date.now() - saidAt < sayEveryMs) return;
      saidAt = Date.now();
      progress(`  ${line.startsWith('go: ') ? line.slice(4) : `${packages} packages compiled, now ${line}`}`);
    },
  });
  rmSync(target, { recursive: true, force: true });
  cpSync(fresh, target, { recursive: true });
  rmSync(fresh, { recursive: true, force: true });
  writeFileSync(stampFileOf(part), stamp);
  progress(`built ${part.name}`);
  return true;
}

/** Whether the programs of a part are there, from the same sources and by the same Go. */
export async function isBuilt(part: Part): Promise<boolean> {
  const file = stampFileOf(part);
  return existsSync(file) && readFileSync(file, 'utf8') === (await stampOf(part));
}

function stampFileOf(part: Part): string {
  return join(paths.bin, part.name, 'stamp');
}

/** Where a program of a part is. */
export function programPath(part: Part, name: string): string {
  return join(paths.bin, part.name, name);
}

/** A text that changes when anything that goes into the part's programs does. */
export async function stampOf(part: Part): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([part.packages, part.flags]));
  hash.update(await run('go', ['env', 'GOVERSION', 'GOARCH', 'GOAMD64'], { env: goEnvironment }));
  const module = join(sources, 'go', part.module);
  const files = part.hasSources ? readdirSync(module, { recursive: true, encoding: 'utf8' }) : ['go.mod', 'go.sum'];
  for (const file of files.sort()) {
    const isInput = /\.(go|mod|sum)$/.test(file) && !file.endsWith('_test.go');
    if (isInput) hash.update(`\0${file}\0`).update(readFileSync(join(module, file)));
  }
  return hash.digest('hex');
}

/** The folder of a module that the part depends on. It is fetched where it is not there, and checked against go.sum. */
export async function dependencyFolder(part: Pick<Part, 'module'>, module: string): Promise<string> {
  const said = await run('go', ['mod', 'download', '-json', module], { cwd: moduleOf(part), env: goEnvironment });
  return (JSON.parse(said) as { Dir: string }).Dir;
}

/** Go works in a copy, so that nothing that it might write lands in the repository. */
function moduleOf(part: Pick<Part, 'module'>): string {
  const copy = join(paths.modules, part.module);
  rmSync(copy, { recursive: true, force: true });
  cpSync(join(sources, 'go', part.module), copy, {
    recursive: true,
    filter: (source) => !basename(source).startsWith('.'),
  });
  return copy;
}
