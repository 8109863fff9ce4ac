import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, statfsSync } from 'node:fs';
import { totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import { progress, run } from './command.ts';
import { coveredFolders } from './namespaces.ts';
import { directory, paths } from './settings.ts';

const goVersionMin = [1, 26] as const;
const memoryBytesMin = 5 * 2 ** 30;
const diskBytesMin = 8 * 2 ** 30;

/** Debian packages, by what of theirs is used. */
const packages: Readonly<Record<string, string>> = {
  containerd: 'containerd',
  ctr: 'containerd',
  runc: 'runc',
  nft: 'nftables',
  ip: 'iproute2',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  sysctl: 'procps',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
};

/**
 * Why this machine cannot run the cluster; undefined when it can, as far as can be told without starting it. Installs
 * missing Debian packages where that is possible.
 */
export async function whyNot(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'the cluster needs Linux';
  const covering = coveredFolders.find((folder) => directory.startsWith(`${folder}/`));
  if (covering) return `PACELINE_CLUSTER_DIR must not be below ${covering}`;
  if (process.getuid?.() !== 0) return 'not root: namespaces, mounts and cgroups of a node need it';
  return (
    (await whyNoGo()) ??
    (await whyNoPackages()) ??
    whyNoKernelFeature() ??
    whyNoSpace() ??
    (await whyNoNamespaces()) ??
    undefined
  );
}

/** Why the Go programs cannot be built here; undefined where they can. */
export async function whyNoGo(): Promise<string | undefined> {
  const wanted = goVersionMin.join('.');
  const said = await run('go', ['env', 'GOVERSION'], { env: { ...process.env, GOTOOLCHAIN: 'local' } }).catch(() => '');
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(said) ?? [];
  if (!major) return `Go is missing: version ${wanted} or later builds the cluster's programs`;
  const enough = Number(major) > goVersionMin[0] || Number(minor) >= goVersionMin[1];
  return enough
    ? undefined
    : `Go ${major}.${minor} is too old: version ${wanted} or later builds the cluster's programs`;
}

async function whyNoPackages(): Promise<string | undefined> {
  const missing = () => [
    ...new Set(
      Object.entries(packages)
        .filter(([used]) => !isThere(used))
        .map(([, name]) => name),
    ),
  ];
  const before = missing();
  if (before.length === 0) return undefined;
  if (!isThere('apt-get')) return `these programs are missing, and there is no apt-get: ${before.join(', ')}`;
  progress(`installing Debian packages: ${before.join(', ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    await run('apt-get', ['update', '-qq'], { env });
    // In run level 1 Debian's packages do not start their services: no containerd but ours runs.
    await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...before], {
      env: { ...env, RUNLEVEL: '1' },
    });
  } catch (error) {
    return `apt-get could not install ${before.join(', ')}: ${(error as Error).message}`;
  }
  const after = missing();
  return after.length > 0 ? `still missing after apt-get install: ${after.join(', ')}` : undefined;
}

function isThere(program: string): boolean {
  const candidates = program.startsWith('/')
    ? [program]
    : `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter).map((at) => join(at, program));
  return candidates.some((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function whyNoKernelFeature(): string | undefined {
  const fileSystems = readFileSync('/proc/filesystems', 'utf8');
  if (!/\boverlay\b/.test(fileSystems)) return 'the kernel has no overlay file system';
  const perController = existsSync('/sys/fs/cgroup/pids');
  const probe = join(perController ? '/sys/fs/cgroup/pids' : '/sys/fs/cgroup', `paceline-probe-${process.pid}`);
  try {
    mkdirSync(probe);
    rmdirSync(probe);
  } catch (error) {
    return `control groups cannot be made: ${(error as Error).message}`;
  }
  return undefined;
}

function whyNoSpace(): string | undefined {
  const gigabytes = (bytes: number) => (bytes / 2 ** 30).toFixed(0);
  if (totalmem() < memoryBytesMin) return `needs ${gigabytes(memoryBytesMin)} GiB of memory`;
  // What is built already needs no room again.
  if (existsSync(join(paths.bin, 'kserve'))) return undefined;
  mkdirSync(directory, { recursive: true });
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize < diskBytesMin) return `needs ${gigabytes(diskBytesMin)} GiB free below ${directory}`;
  return undefined;
}

async function whyNoNamespaces(): Promise<string | undefined> {
  try {
    await run('unshare', [
      '--net',
      '--mount',
      '--pid',
      '--fork',
      '--mount-proc',
      'ip',
      'link',
      'add',
      'b0',
      'type',
      'bridge',
    ]);
    return undefined;
  } catch (error) {
    return `namespaces or network bridges cannot be made here: ${(error as Error).message}`;
  }
}
