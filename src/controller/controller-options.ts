import { hostname } from 'node:os';
import { type Environment, environmentName, isServiceLink, OptionsError } from '../policy/companion-options.ts';
import * as kinds from '../policy/option-kinds.ts';
import { UnitError } from '../policy/units.ts';

/** What the controller's process is told. */
export interface ControllerOptions {
  readonly namespace: string;
  readonly identity: string;
  readonly kubeconfig: string;
  readonly host: string;
  readonly webhookPort: number;
  readonly adminPort: number;
  readonly webhookService: string;
  readonly certificates: 'self' | 'external';
  readonly tlsCertFile: string;
  readonly tlsKeyFile: string;
  readonly image: string;
  readonly companionCpuRequest: string;
  readonly companionCpuLimit: string;
  readonly companionMemoryRequest: string;
  readonly companionMemoryLimit: string;
  readonly kserveNamespace: string;
  readonly knativeNamespace: string;
  readonly excludeNamespaces: readonly string[];
  readonly logLevel: string;
}

/** One option of `paceline controller`. */
export interface ControllerOptionSpec {
  readonly key: keyof ControllerOptions;
  /** Without dashes. */
  readonly flag: string;
  readonly kind: kinds.OptionKind;
  readonly description: string;
  /** What it is when nobody says. */
  readonly fallback: string;
  /** A variable of the pod that says it where ours does not. */
  readonly also?: string;
}

const name: kinds.OptionKind = {
  placeholder: 'name',
  accepts: 'small letters, digits, - and .',
  parse: (text) => {
    if (/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/.test(text)) return text;
    throw new UnitError(`"${text}" is not a name of small letters, digits, - and .`);
  },
};

const names: kinds.OptionKind = {
  placeholder: 'names',
  accepts: 'names, comma-separated',
  parse: (text) =>
    text
      .split(',')
      .map((each) => each.trim())
      .filter((each) => each !== '')
      .map((each) => name.parse(each)),
};

const file: kinds.OptionKind = { placeholder: 'file', accepts: 'a path', parse: (text) => text };

const imageName: kinds.OptionKind = {
  placeholder: 'image',
  accepts: 'an image, best by digest',
  parse: (text) => {
    if (/^[\w][\w.\-/:]{0,400}(?:@sha256:[0-9a-f]{64})?$/.test(text)) return text;
    throw new UnitError(`"${text}" is not an image such as registry.example.com/paceline@sha256:...`);
  },
};

const quantity: kinds.OptionKind = {
  placeholder: 'quantity',
  accepts: 'a Kubernetes quantity, such as 100m or 160Mi',
  parse: (text) => {
    if (/^\d+(?:\.\d+)?(?:m|k|M|G|Ki|Mi|Gi)?$/.test(text)) return text;
    throw new UnitError(`"${text}" is not a quantity such as 100m, 0.5, 160Mi or 1Gi`);
  },
};

/** All options of `paceline controller`, in the order of its help. */
export const controllerOptionSpecs: readonly ControllerOptionSpec[] = [
  {
    key: 'image',
    flag: 'image',
    kind: imageName,
    description: 'the image that is put into pods; empty: the one that this pod has tried, or runs',
    fallback: '',
  },
  {
    key: 'companionCpuRequest',
    flag: 'companion-cpu-request',
    kind: quantity,
    description: 'CPU that each companion is given',
    fallback: '100m',
  },
  {
    key: 'companionCpuLimit',
    flag: 'companion-cpu-limit',
    kind: quantity,
    description: 'CPU that a companion can use at most',
    fallback: '1',
  },
  {
    key: 'companionMemoryRequest',
    flag: 'companion-memory-request',
    kind: quantity,
    description: 'memory that each companion is given',
    fallback: '160Mi',
  },
  {
    key: 'companionMemoryLimit',
    flag: 'companion-memory-limit',
    kind: quantity,
    description: 'memory beyond which a companion is killed',
    fallback: '512Mi',
  },
  {
    key: 'excludeNamespaces',
    flag: 'exclude-namespaces',
    kind: names,
    description: 'namespaces whose pods are never touched, beside our own and kube-*',
    fallback: 'knative-serving,kserve,istio-system,cert-manager',
  },
  {
    key: 'kserveNamespace',
    flag: 'kserve-namespace',
    kind: name,
    description: "where KServe's configuration is",
    fallback: 'kserve',
  },
  {
    key: 'knativeNamespace',
    flag: 'knative-namespace',
    kind: name,
    description: "where Knative's configuration is",
    fallback: 'knative-serving',
  },
  {
    key: 'certificates',
    flag: 'certificates',
    kind: kinds.oneOf('who', 'self', 'external'),
    description: 'who keeps the certificate of the webhooks: the controller, or somebody such as cert-manager',
    fallback: 'self',
  },
  {
    key: 'tlsCertFile',
    flag: 'tls-cert-file',
    kind: file,
    description: 'a mounted certificate (PEM), instead of the Secret; read again when it changes',
    fallback: '',
  },
  { key: 'tlsKeyFile', flag: 'tls-key-file', kind: file, description: 'its key (PEM)', fallback: '' },
  {
    key: 'webhookService',
    flag: 'webhook-service',
    kind: name,
    description: 'the Service through which the API server reaches the webhooks',
    fallback: 'paceline-webhook',
  },
  { key: 'host', flag: 'host', kind: kinds.address, description: 'address to listen on', fallback: '0.0.0.0' },
  {
    key: 'webhookPort',
    flag: 'webhook-port',
    kind: kinds.port,
    description: 'where webhooks are served (TLS); 0 picks a free one',
    fallback: '9443',
  },
  {
    key: 'adminPort',
    flag: 'admin-port',
    kind: kinds.port,
    description: 'where metrics and health are served; 0 picks a free one',
    fallback: '9090',
  },
  {
    key: 'namespace',
    flag: 'namespace',
    kind: name,
    description: 'the namespace of the controller',
    fallback: 'paceline-system',
    also: 'POD_NAMESPACE',
  },
  {
    key: 'identity',
    flag: 'identity',
    kind: name,
    description: 'name of this replica',
    fallback: hostname().toLowerCase(),
    also: 'POD_NAME',
  },
  {
    key: 'kubeconfig',
    flag: 'kubeconfig',
    kind: file,
    description: 'how to reach the API server; empty: KUBECONFIG, or the service account of the pod',
    fallback: '',
  },
  {
    key: 'logLevel',
    flag: 'log-level',
    kind: kinds.oneOf('level', 'debug', 'info', 'warn', 'error', 'silent'),
    description: 'least severe log lines that are written',
    fallback: 'info',
  },
];

/**
 * Reads options from flags, then the environment, then the defaults.
 *
 * @throws {OptionsError} naming every option that is wrong, and what would be right.
 */
export function resolveControllerOptions(flags: Environment, environment: Environment): ControllerOptions {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const { key, flag, kind, fallback, also } of controllerOptionSpecs) {
    const variable = environmentName(flag);
    // A Service named paceline-webhook gives each pod of its namespace a PACELINE_WEBHOOK_PORT of its own.
    const given = isServiceLink(variable, environment[variable]) ? undefined : environment[variable];
    const text = flags[flag] ?? (given || (also && environment[also]) || fallback);
    try {
      values[key] = text === '' && kind !== names ? '' : kind.parse(text);
    } catch (error) {
      if (!(error instanceof UnitError)) throw error;
      problems.push(`${flags[flag] === undefined ? variable : `--${flag}`}: ${error.message}`);
    }
  }
  if ((values.tlsCertFile === '') !== (values.tlsKeyFile === '')) {
    problems.push('--tls-cert-file and --tls-key-file belong together: give both or none');
  }
  if (values.webhookPort !== 0 && values.webhookPort === values.adminPort) {
    problems.push('--webhook-port and --admin-port are the same: give one of them another number');
  }
  if (problems.length > 0) throw new OptionsError(problems);
  return values as unknown as ControllerOptions;
}
