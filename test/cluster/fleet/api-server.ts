// An etcd and an API server of their own, with nothing else: what the controller does with thousands of services, and
// with nobody else writing, is measured against these. The test cluster beside it is not disturbed.
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Connection, connect } from '../../../src/kube/connection.ts';
import { KubeClient } from '../../../src/kube/kube-client.ts';
import { programPath } from '../build.ts';
import { until } from '../command.ts';
import { kubernetes } from '../parts.ts';

const token = 'fleet';
const ports = { etcd: 24379, peers: 24380, api: 24443 };

export interface ApiServer {
  readonly kubeconfig: string;
  readonly api: KubeClient;
  /** Of etcd and of the API server. */
  readonly pids: readonly number[];
  /** How often each kind was asked to be changed so far, whatever the answer was: `revisions`, `inferencepolicies/status`. */
  writes(): Promise<Map<string, number>>;
  stop(): Promise<void>;
}

/** Starts both and waits until the API answers. @throws Error when it does not within three minutes. */
export async function startApiServer(): Promise<ApiServer> {
  const folder = mkdtempSync(join(tmpdir(), 'paceline-fleet-'));
  const file = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const privateKey = file('accounts.key', keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  const publicKey = file('accounts.pub', keys.publicKey.export({ type: 'spki', format: 'pem' }).toString());
  const tokens = file('tokens.csv', `${token},fleet,fleet,system:masters\n`);
  const started: ChildProcess[] = [];
  const start = (name: string, options: Record<string, string>) => {
    const log = openSync(join(folder, `${name}.log`), 'w');
    const words = Object.entries(options).map(([option, value]) => `--${option}=${value}`);
    started.push(spawn(programPath(kubernetes, name), words, { stdio: ['ignore', log, log] }));
  };
  start('server', {
    'data-dir': join(folder, 'etcd'),
    'listen-client-urls': `http://127.0.0.1:${ports.etcd}`,
    'advertise-client-urls': `http://127.0.0.1:${ports.etcd}`,
    'listen-peer-urls': `http://127.0.0.1:${ports.peers}`,
    'unsafe-no-fsync': 'true',
    'log-level': 'warn',
  });
  start('kube-apiserver', {
    'etcd-servers': `http://127.0.0.1:${ports.etcd}`,
    'bind-address': '127.0.0.1',
    // Nobody is told to come there; without it the server looks for a default route, which a closed network has not.
    'advertise-address': '10.98.0.1',
    'secure-port': String(ports.api),
    'cert-dir': join(folder, 'certificates'),
    'token-auth-file': tokens,
    'service-account-issuer': 'https://kubernetes.default.svc',
    'service-account-key-file': publicKey,
    'service-account-signing-key-file': privateKey,
    'service-cluster-ip-range': '10.97.0.0/16',
    'authorization-mode': 'RBAC',
    // No controller manager makes the accounts that pods ask for.
    'disable-admission-plugins': 'ServiceAccount',
    'endpoint-reconciler-type': 'none',
    profiling: 'false',
  });
  const kubeconfig = file(
    'kubeconfig.json',
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name: 'fleet', cluster: { server: `https://127.0.0.1:${ports.api}`, 'insecure-skip-tls-verify': true } },
      ],
      users: [{ name: 'fleet', user: { token } }],
      contexts: [{ name: 'fleet', context: { cluster: 'fleet', user: 'fleet' } }],
      'current-context': 'fleet',
    }),
  );
  const connection = connect(kubeconfig);
  const api = new KubeClient(connection);
  const stop = async () => {
    api.close();
    for (const process of started.reverse()) {
      const ended = new Promise((resolve) => process.once('exit', resolve));
      if (process.exitCode === null && process.kill('SIGKILL')) await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await until('the API server to answer', () => answers(api), 180_000);
  } catch (error) {
    await stop();
    throw error;
  }
  const pids = started.map(({ pid }) => pid as number);
  return { kubeconfig, api, pids, writes: () => countedWrites(connection), stop };
}

/** From the API server's own metrics. */
async function countedWrites(connection: Connection): Promise<Map<string, number>> {
  const answer = await connection.send({ method: 'GET', path: '/metrics', silenceMs: 30_000 });
  const counts = new Map<string, number>();
  for (const [, labels = '', count] of (await text(answer)).matchAll(/^apiserver_request_total\{(.*)\} (\S+)$/gm)) {
    const label = (name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(labels)?.[1] ?? '';
    if (!['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE'].includes(label('verb'))) continue;
    const kind = [label('resource'), label('subresource')].filter((part) => part !== '').join('/');
    counts.set(kind, (counts.get(kind) ?? 0) + Number(count));
  }
  return counts;
}

async function answers(api: KubeClient): Promise<boolean> {
  const namespace = { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false };
  return await api.get(namespace, { name: 'default' }).then(
    () => true,
    () => false,
  );
}
