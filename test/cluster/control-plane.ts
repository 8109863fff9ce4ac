import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { programPath } from './build.ts';
import { pki } from './certificates.ts';
import type { Daemon } from './daemons.ts';
import type { Manifest } from './documents.ts';
import { gatewayService } from './install/knative.ts';
import { helpers, kubernetes } from './parts.ts';
import { clusterName, gatewayPort, ingressClass, nodeAddress, paths, sources, systemIngressClass } from './settings.ts';

const config = join(paths.run, 'config');
const dnsPort = 5353;
const dnsAddress = '10.96.0.10';

/** What must answer before the API server starts. */
export const firstDaemons: Daemon[] = [
  { name: 'containerd', command: ['containerd', '--config', join(config, 'containerd.toml')] },
  {
    name: 'etcd',
    command: [
      programPath(kubernetes, 'server'),
      ...options({
        'data-dir': join(paths.run, 'etcd'),
        'listen-client-urls': 'http://127.0.0.1:2379',
        'advertise-client-urls': 'http://127.0.0.1:2379',
        'listen-peer-urls': 'http://127.0.0.1:2380',
        // What is in it need not outlive the machine.
        'unsafe-no-fsync': 'true',
        'log-level': 'warn',
      }),
    ],
  },
];

export const apiServer: Daemon = {
  name: 'kube-apiserver',
  command: [
    programPath(kubernetes, 'kube-apiserver'),
    ...options({
      'etcd-servers': 'http://127.0.0.1:2379',
      'bind-address': '0.0.0.0',
      'advertise-address': nodeAddress,
      'secure-port': '6443',
      'tls-cert-file': join(pki, 'apiserver.crt'),
      'tls-private-key-file': join(pki, 'apiserver.key'),
      'client-ca-file': join(pki, 'ca.crt'),
      'service-account-issuer': 'https://kubernetes.default.svc.cluster.local',
      'service-account-key-file': join(pki, 'service-accounts.pub'),
      'service-account-signing-key-file': join(pki, 'service-accounts.key'),
      'service-cluster-ip-range': '10.96.0.0/16',
      'authorization-mode': 'Node,RBAC',
      // Besides Node restriction these are on by default; they are named because tests depend on them.
      'enable-admission-plugins':
        'NodeRestriction,MutatingAdmissionWebhook,ValidatingAdmissionWebhook,ValidatingAdmissionPolicy,PodSecurity',
      'kubelet-client-certificate': join(pki, 'apiserver-kubelet.crt'),
      'kubelet-client-key': join(pki, 'apiserver-kubelet.key'),
      'kubelet-certificate-authority': join(pki, 'ca.crt'),
      'kubelet-preferred-address-types': 'InternalIP',
      'allow-privileged': 'true',
      'endpoint-reconciler-type': 'lease',
      'audit-policy-file': join(config, 'audit.yaml'),
      'audit-log-path': join(paths.run, 'audit.log'),
      'audit-log-maxsize': '200',
      'audit-log-maxbackup': '1',
      profiling: 'false',
    }),
  ],
};

/** Everything else of Kubernetes, and the gateway. */
export const otherDaemons: Daemon[] = [
  {
    name: 'kube-controller-manager',
    command: [
      programPath(kubernetes, 'kube-controller-manager'),
      ...options({
        kubeconfig: join(pki, 'controller-manager.kubeconfig'),
        'service-account-private-key-file': join(pki, 'service-accounts.key'),
        'root-ca-file': join(pki, 'ca.crt'),
        'use-service-account-credentials': 'true',
        'leader-elect': 'false',
        'cluster-signing-cert-file': join(pki, 'ca.crt'),
        'cluster-signing-key-file': join(pki, 'ca.key'),
        'bind-address': '127.0.0.1',
        'flex-volume-plugin-dir': join(paths.run, 'volume-plugins'),
        'kube-api-qps': '100',
        'kube-api-burst': '200',
        profiling: 'false',
      }),
    ],
  },
  {
    name: 'kube-scheduler',
    command: [
      programPath(kubernetes, 'kube-scheduler'),
      ...options({
        kubeconfig: join(pki, 'scheduler.kubeconfig'),
        'leader-elect': 'false',
        'bind-address': '127.0.0.1',
        profiling: 'false',
      }),
    ],
  },
  {
    name: 'kubelet',
    command: [
      programPath(kubernetes, 'kubelet'),
      ...options({
        config: join(config, 'kubelet.yaml'),
        kubeconfig: join(pki, 'kubelet.kubeconfig'),
        'root-dir': join(paths.run, 'kubelet'),
        'cert-dir': join(paths.run, 'kubelet-pki'),
        'hostname-override': 'node1',
        'node-ip': nodeAddress,
      }),
    ],
  },
  {
    name: 'kube-proxy',
    command: [programPath(kubernetes, 'kube-proxy'), ...options({ config: join(config, 'kube-proxy.yaml') })],
  },
  {
    name: 'gateway',
    command: [
      programPath(helpers, 'gateway'),
      ...options({
        api: `https://${nodeAddress}:6443`,
        ca: join(pki, 'ca.crt'),
        cert: join(pki, 'gateway.crt'),
        key: join(pki, 'gateway.key'),
        dns: `${nodeAddress}:${dnsPort}`,
        http: `${nodeAddress}:${gatewayPort}`,
        class: systemIngressClass,
        'plain-class': ingressClass,
        'load-balancer': `${gatewayService.name}.${gatewayService.namespace}.svc.cluster.local`,
      }),
    ],
  },
];

/** Every program of the cluster. */
export const daemons: Daemon[] = [...firstDaemons, apiServer, ...otherDaemons];

/** Writes the files that the programs read at their start, with this machine's paths in them. */
export function writeConfig(): void {
  cpSync(join(sources, 'config'), config, { recursive: true });
  for (const name of readdirSync(config, { recursive: true, encoding: 'utf8' })) {
    const file = join(config, name);
    if (!statSync(file).isFile()) continue;
    const text = readFileSync(file, 'utf8').replaceAll('@RUN@', paths.run).replaceAll('@NAME@', clusterName);
    writeFileSync(file, text);
  }
  mkdirSync(join(paths.run, 'pod-logs'), { recursive: true });
}

/** The Service that pods ask for names: the gateway answers. */
export function dnsObjects(): Manifest[] {
  const labels = { 'kubernetes.io/service-name': 'kube-dns' };
  const port = { name: 'dns', port: 53, protocol: 'UDP' };
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'kube-dns', namespace: 'kube-system' },
      spec: { clusterIP: dnsAddress, ports: [{ ...port, targetPort: dnsPort }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'kube-dns-1', namespace: 'kube-system', labels },
      addressType: 'IPv4',
      ports: [{ name: port.name, port: dnsPort, protocol: 'UDP' }],
      endpoints: [{ addresses: [nodeAddress], conditions: { ready: true } }],
    },
  ];
}

function options(values: Record<string, string>): string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}
