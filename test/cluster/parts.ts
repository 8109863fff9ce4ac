import { includes, type KnativeLine, type Level, versions } from './settings.ts';

/** A set of Go programs that are built together from one module below go/. */
export interface Part {
  name: string;
  module: string;
  packages: readonly string[];
  flags: readonly string[];
  /** Said before a build: what to expect on two cores when nothing is cached. */
  takes: string;
  /** The module's own files besides go.mod and go.sum count for the stamp. */
  hasSources?: boolean;
}

export const helpers: Part = {
  name: 'helpers',
  module: 'helpers',
  packages: ['./init', './gateway', './model'],
  flags: ['-s', '-w'],
  takes: '10 s',
  hasSources: true,
};

export const kubernetes: Part = {
  name: 'kubernetes',
  module: 'kubernetes',
  packages: [
    'go.etcd.io/etcd/server/v3',
    ...['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl', 'kubelet', 'kube-proxy'].map(
      (name) => `k8s.io/kubernetes/cmd/${name}`,
    ),
  ],
  flags: ['-s', '-w', ...versionFlags()],
  takes: '6 minutes',
};

export const kserve: Part = {
  name: 'kserve',
  module: 'kserve',
  packages: ['manager', 'agent', 'router'].map((name) => `github.com/kserve/kserve/cmd/${name}`),
  flags: ['-s', '-w'],
  takes: '2 minutes',
};

export function knative(line: KnativeLine): Part {
  return {
    name: `knative-${line}`,
    module: `knative-${line}`,
    packages: ['controller', 'webhook', 'autoscaler', 'activator', 'queue'].map(
      (name) => `knative.dev/serving/cmd/${name}`,
    ),
    flags: ['-s', '-w'],
    takes: '2 minutes',
  };
}

export function partsOf(level: Level, line: KnativeLine): Part[] {
  return [
    helpers,
    kubernetes,
    ...(includes(level, 'knative') ? [knative(line)] : []),
    ...(includes(level, 'kserve') ? [kserve] : []),
  ];
}

/** Kubernetes takes its version from the linker; without one, Knative and kubectl refuse to talk to it. */
function versionFlags(): string[] {
  const [major, minor] = versions.kubernetes.slice(1).split('.') as [string, string];
  const values = {
    gitVersion: versions.kubernetes,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: 'clean',
    gitCommit: '0'.repeat(40),
    buildDate: '2026-01-01T00:00:00Z',
  };
  return ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((at) =>
    Object.entries(values).flatMap(([name, value]) => ['-X', `${at}.${name}=${value}`]),
  );
}
