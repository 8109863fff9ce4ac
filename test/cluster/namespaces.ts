// The cluster lives in namespaces of its own: of the network (named, so that tests can enter it), of mounts and of
// processes. Process 1 of the latter is `init`; when it is killed the kernel ends everything below it, and the mounts go
// with the last of them.
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { programPath } from './build.ts';
import { run, until } from './command.ts';
import { helpers } from './parts.ts';
import { clusterName, networkNamespace, networkNamespacePath, nodeAddress, paths } from './settings.ts';

const initFile = join(paths.run, 'init.pid');
const podBridgeAddress = '10.244.0.1/24';
/**
 * Folders in which containerd, runc, the CNI plugins and the kubelet write at places that cannot be set. In the cluster's
 * mounts they are empty file systems in memory, which end with it. The cluster's own folder cannot be below them.
 */
export const coveredFolders = ['/run', '/var/lib', '/var/log'];

/** Process 1 of the running cluster, as this side sees it; undefined when there is none. */
export function initProcess(): number | undefined {
  if (!existsSync(initFile)) return undefined;
  const [pid, startedAt] = readFileSync(initFile, 'utf8').trim().split(' ') as [string, string];
  return startTimeOf(Number(pid)) === startedAt ? Number(pid) : undefined;
}

export async function makeNamespaces(): Promise<void> {
  makeControlGroups();
  if (!existsSync(networkNamespacePath)) await run('ip', ['netns', 'add', networkNamespace]);
  await makeNetwork();

  mkdirSync(paths.run, { recursive: true });
  const log = openSync(join(paths.logs, 'init.log'), 'w');
  const holder = spawn(
    'nsenter',
    [
      `--net=${networkNamespacePath}`,
      'unshare',
      '--mount',
      '--pid',
      '--fork',
      '--mount-proc',
      programPath(helpers, 'init'),
    ],
    { detached: true, stdio: ['ignore', log, log], cwd: paths.run },
  );
  holder.unref();
  await until('the process namespace', () => childOf(holder.pid as number) !== undefined, 5_000);
  const init = childOf(holder.pid as number) as number;
  writeFileSync(initFile, `${init} ${startTimeOf(init)}\n`);
  // Until /proc is mounted for the new namespace, a program that enters it would see another's processes.
  await until('process 1', () => readFileSync(`/proc/${init}/comm`, 'utf8').trim() === 'init', 5_000);
  const [program, ...prefix] = enterAll() as [string, ...string[]];
  for (const folder of coveredFolders) {
    await run(program, [...prefix, 'mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', folder]);
  }
}

async function makeNetwork(): Promise<void> {
  const inside = (...command: string[]) => run('nsenter', [`--net=${networkNamespacePath}`, ...command]);
  const links = await inside('ip', '-o', 'link');
  if (links.includes(' node0:')) return;
  await inside('ip', 'link', 'set', 'lo', 'up');
  for (const [bridge, address] of [
    ['node0', `${nodeAddress}/24`],
    ['pods0', podBridgeAddress],
  ] as const) {
    await inside('ip', 'link', 'add', bridge, 'type', 'bridge');
    await inside('ip', 'addr', 'add', address, 'dev', bridge);
    await inside('ip', 'link', 'set', bridge, 'up');
  }
  // Nothing is behind this route: Services' addresses need one to get as far as the rules that rewrite them.
  await inside('ip', 'route', 'add', 'default', 'via', '10.99.0.254', 'dev', 'node0');
  const settings = [
    'net.ipv4.ip_forward=1',
    'net.ipv4.conf.all.rp_filter=0',
    'net.ipv4.conf.default.rp_filter=0',
    'net.bridge.bridge-nf-call-iptables=1',
  ];
  await inside('sysctl', '-qw', ...settings);
}

/** What to put before a command so that it runs as the cluster's own programs do. */
export function enterAll(): string[] {
  const init = initProcess();
  if (!init) throw new Error('the cluster is not running');
  return ['nsenter', '--target', String(init), '--net', '--mount', '--pid', '--'];
}

/**
 * Ends everything in the namespaces and takes them away, with the control groups. Does nothing where nothing is.
 *
 * @param force ends also what others run inside the network, such as tests.
 * @throws Error that names them, with nothing changed, when there are such and `force` is not set.
 */
export async function removeNamespaces(force: boolean): Promise<void> {
  const guests = await guestsInTheNetwork();
  if (guests.length > 0 && !force) {
    throw new Error(
      `the cluster is in use: ${guests.join(', ')}. End them, or end it with them: npm run cluster:down -- --force`,
    );
  }
  for (const guest of guests) endNow(Number.parseInt(guest, 10));
  const init = initProcess();
  if (init) {
    process.kill(init, 'SIGKILL');
    await until('the end of every process', () => !existsSync(`/proc/${init}`), 20_000);
  }
  rmSync(initFile, { force: true });
  if (existsSync(networkNamespacePath)) {
    await until('the network to be empty', async () => (await processesInTheNetwork()).length === 0, 10_000);
    await run('ip', ['netns', 'delete', networkNamespace]);
  }
  await until('control groups to be gone', removeControlGroups, 10_000);
}

/** Processes inside the cluster's network that are not the cluster's own: number and command. */
async function guestsInTheNetwork(): Promise<string[]> {
  const init = initProcess();
  const own = init ? processNamespaceOf(init) : undefined;
  const isOwn = (pid: number | undefined) => pid !== undefined && own !== undefined && processNamespaceOf(pid) === own;
  // What entered the namespaces for a program stays outside as its parent.
  const guests = (await processesInTheNetwork()).filter((pid) => !isOwn(pid) && !isOwn(childOf(pid)));
  return guests.filter((pid) => existsSync(`/proc/${pid}`)).map((pid) => `${pid} (${commandOf(pid)})`);
}

async function processesInTheNetwork(): Promise<number[]> {
  if (!existsSync(networkNamespacePath)) return [];
  return (await run('ip', ['netns', 'pids', networkNamespace])).split('\n').filter(Boolean).map(Number);
}

function processNamespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim().slice(-80);
  } catch {
    return 'has ended';
  }
}

function endNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** The control groups of the cluster, by path, those that are there. Pods are below them. */
export function controlGroupsLeft(): string[] {
  return controlGroupRoots()
    .map((root) => join(root, clusterName))
    .filter(existsSync);
}

/** A kubelet below control groups of its own neither sees nor disturbs another one on the machine. */
function makeControlGroups(): void {
  for (const root of controlGroupRoots()) {
    const group = join(root, clusterName);
    mkdirSync(group, { recursive: true });
    // In version 1 a group of processors is empty, and takes no process, until it is told which it has.
    for (const setting of ['cpuset.cpus', 'cpuset.mems']) {
      const file = join(group, setting);
      if (existsSync(file) && existsSync(join(root, 'cpuset.cpus'))) {
        writeFileSync(file, readFileSync(join(root, setting), 'utf8'));
      }
    }
  }
}

function removeControlGroups(): boolean {
  for (const path of controlGroupsLeft()) removeGroup(path);
  return controlGroupsLeft().length === 0;
}

function removeGroup(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroup(join(path, entry.name));
  }
  try {
    rmdirSync(path);
  } catch {
    // The kernel keeps a group for a moment after its last process: the caller tries again.
  }
}

/** Version 1 has a tree for each controller, version 2 one tree. */
function controlGroupRoots(): string[] {
  const root = '/sys/fs/cgroup';
  if (!existsSync(join(root, 'pids'))) return [root];
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, entry.name));
}

/** The first child of a process. */
export function childOf(pid: number): number | undefined {
  try {
    const first = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0];
    return first ? Number(first) : undefined;
  } catch {
    return undefined;
  }
}

/** When a process began, in the kernel's ticks: tells a process from a later one with the same number. */
export function startTimeOf(pid: number): string | undefined {
  try {
    // The second field, the name, may hold spaces; the start is the 22nd field.
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')[19];
  } catch {
    return undefined;
  }
}
