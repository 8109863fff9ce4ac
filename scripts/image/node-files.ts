import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { TarEntry } from './tar.ts';

/** Where the image keeps Node.js. */
export const nodePath = 'usr/local/bin/node';

const sharedLibrary = /(?:=> )?(\/\S+) \(0x[0-9a-f]+\)/;
/** Debian's packages of what Node.js is linked with; their licences ask to be kept with the copies. */
const licensedPackages = ['libc6', 'libstdc++6', 'libgcc-s1', 'gcc-12-base', 'nodejs'];

/**
 * The Node.js that runs this, with the shared libraries it is linked with and the least of /etc: what a program for
 * Node.js needs to run in an otherwise empty file system.
 *
 * @throws Error where a library is missing or `ldd` cannot tell (a system without glibc).
 */
export function nodeFiles(): TarEntry[] {
  const libraries = librariesOf(process.execPath);
  const licences = licensedPackages
    .map((name) => `/usr/share/doc/${name}/copyright`)
    .filter((path) => existsSync(path));
  return [
    file(nodePath, process.execPath, 0o755),
    ...libraries.map((path) => file(path.slice(1), path, 0o755)),
    ...licences.map((path) => file(path.slice(1), path)),
    text('etc/passwd', 'root:x:0:0:root:/:/none\nnonroot:x:65532:65532:nonroot:/:/none\n'),
    text('etc/group', 'root:x:0:\nnonroot:x:65532:\n'),
    text('etc/nsswitch.conf', 'hosts: files dns\n'),
    { kind: 'folder', path: 'tmp', mode: 0o1777 },
  ];
}

function librariesOf(program: string): string[] {
  const lines = execFileSync('ldd', [program], { encoding: 'utf8' }).split('\n');
  const missing = lines.find((line) => line.includes('not found'));
  if (missing) throw new Error(`${program} needs a shared library that is not there: ${missing.trim()}`);
  const paths = lines.map((line) => sharedLibrary.exec(line)?.[1]).filter((path) => path !== undefined);
  if (paths.length === 0) throw new Error(`ldd does not say what ${program} is linked with`);
  return paths;
}

function file(path: string, from: string, mode = 0o644): TarEntry {
  return { kind: 'file', path, mode, bytes: readFileSync(from) };
}

function text(path: string, contents: string): TarEntry {
  return { kind: 'file', path, bytes: Buffer.from(contents) };
}
