import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ociArchive } from '../../scripts/image/oci.ts';
import { imageReference, pacelineContents } from '../../scripts/image.ts';
import { programPath } from './build.ts';
import { progress, run } from './command.ts';
import { knativeImage } from './install/knative.ts';
import { kserveImage } from './install/kserve.ts';
import { enterAll } from './namespaces.ts';
import { helpers, knative, kserve, type Part } from './parts.ts';
import { type Choice, includes, paths } from './settings.ts';

export const modelImage = 'kind.local/model:1';

interface ProgramImage {
  reference: string;
  part: Part;
  program: string;
}

/** Images of a single Go program each. */
function programImages(choice: Choice): ProgramImage[] {
  return [
    { reference: 'kind.local/pause:1', part: helpers, program: 'init' },
    { reference: modelImage, part: helpers, program: 'model' },
    ...(includes(choice.level, 'knative')
      ? ['controller', 'webhook', 'autoscaler', 'activator', 'queue'].map((program) => ({
          reference: knativeImage(program, choice.knative),
          part: knative(choice.knative),
          program,
        }))
      : []),
    ...(includes(choice.level, 'kserve')
      ? ['manager', 'agent', 'router'].map((program) => ({ reference: kserveImage(program), part: kserve, program }))
      : []),
  ];
}

/** Writes the archives of every program's image that is not there, or older than its program. */
export function writeProgramImages(choice: Choice): void {
  mkdirSync(paths.images, { recursive: true });
  for (const image of programImages(choice)) {
    const stamp = readFileSync(join(paths.bin, image.part.name, 'stamp'), 'utf8');
    if (existsSync(archiveOf(image)) && stampIn(archiveOf(image)) === stamp) continue;
    const { archive } = ociArchive({
      reference: image.reference,
      layers: [
        [
          {
            kind: 'file',
            path: 'etc/passwd',
            bytes: Buffer.from('root:x:0:0::/:/none\nnonroot:x:65532:65532::/:/none\n'),
          },
          { kind: 'file', path: 'etc/nsswitch.conf', bytes: Buffer.from('hosts: files dns\n') },
          { kind: 'folder', path: 'var/run' },
          { kind: 'folder', path: 'tmp', mode: 0o1777 },
          {
            kind: 'file',
            path: `${image.program}`,
            mode: 0o755,
            bytes: readFileSync(programPath(image.part, image.program)),
          },
        ],
      ],
      entrypoint: [`/${image.program}`],
      user: '65532:65532',
      workingDirectory: '/',
      environment: { PATH: '/', KO_DATA_PATH: '/var/run/ko' },
      labels: {},
    });
    writeFileSync(archiveOf(image), archive);
    writeFileSync(`${archiveOf(image)}.stamp`, stamp);
  }
}

/** Loads the programs' images into the running cluster: those that every level needs, or the others. */
export async function loadProgramImages(choice: Choice, which: 'basic' | 'others'): Promise<void> {
  const wanted = programImages(choice).filter((image) => (image.part === helpers) === (which === 'basic'));
  for (const image of wanted) {
    await loadOnce(archiveOf(image), stampIn(archiveOf(image)) ?? '');
  }
}

/**
 * Loads the project's image, made of dist/ as it is now. Pods that start afterwards run it.
 *
 * @throws Error when dist/ has not been built.
 */
export async function loadPacelineImage(): Promise<void> {
  const contents = pacelineContents();
  const hash = createHash('sha256').update(JSON.stringify({ ...contents, layers: [] }));
  for (const entry of contents.layers.flat())
    hash.update(`\0${entry.path}\0`).update('bytes' in entry ? entry.bytes : '');
  const stamp = hash.digest('hex');
  mkdirSync(paths.images, { recursive: true });
  const file = join(paths.images, 'paceline.tar');
  if (!existsSync(file) || stampIn(file) !== stamp) {
    writeFileSync(file, ociArchive(contents).archive);
    writeFileSync(`${file}.stamp`, stamp);
  }
  if (await loadOnce(file, stamp)) progress(`loaded ${imageReference}`);
}

/** Loads any image archive, such as `npm run image -- --out FILE --reference NAME:TAG` writes. */
export async function loadArchive(file: string): Promise<void> {
  await run(...containerd('images', 'import', file));
  // It may have had the name of one that was loaded before.
  rmSync(markOf(join(paths.images, 'paceline.tar')), { force: true });
  progress(`loaded ${file}`);
}

/** Images that Kubernetes can start, by name. */
export async function loadedImages(): Promise<string[]> {
  const listed = await run(...containerd('images', 'ls', '-q'));
  return listed.split('\n').filter((name) => name.startsWith('kind.local/'));
}

/** Loads an archive unless this life of the cluster has it already. */
async function loadOnce(archive: string, stamp: string): Promise<boolean> {
  const mark = markOf(archive);
  if (existsSync(mark) && readFileSync(mark, 'utf8') === stamp) return false;
  await run(...containerd('images', 'import', archive));
  writeFileSync(mark, stamp);
  return true;
}

/** Holds the stamp of what this life of the cluster loaded from an archive. */
function markOf(archive: string): string {
  return join(paths.run, `image-${createHash('sha256').update(archive).digest('hex').slice(0, 12)}`);
}

/** What runs containerd's own client on images and containers of Kubernetes. */
export function containerd(...args: string[]): [string, string[]] {
  const [program, ...prefix] = enterAll() as [string, ...string[]];
  return [
    program,
    [...prefix, 'ctr', '--address', join(paths.run, 'containerd.sock'), '--namespace', 'k8s.io', ...args],
  ];
}

function archiveOf(image: ProgramImage): string {
  return join(paths.images, `${image.part.name}-${image.program}.tar`);
}

function stampIn(archive: string): string | undefined {
  const file = `${archive}.stamp`;
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}
