/** The part of a pod that the webhook reads or writes. What else is in it is handed through untouched. */
export interface Pod {
  readonly metadata: {
    readonly name?: string;
    readonly generateName?: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[];
    readonly [field: string]: unknown;
  };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly securityContext?: { readonly runAsUser?: number; readonly [field: string]: unknown };
    readonly terminationGracePeriodSeconds?: number;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly args?: readonly string[];
  readonly env?: readonly EnvVar[];
  readonly ports?: readonly ContainerPort[];
  readonly readinessProbe?: Probe;
  readonly volumeMounts?: readonly VolumeMount[];
  readonly [field: string]: unknown;
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly [field: string]: unknown;
}

export interface ContainerPort {
  readonly name?: string;
  readonly containerPort: number;
  readonly [field: string]: unknown;
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly [field: string]: unknown;
}

/** A probe of core/v1, with the handlers that can be asked over the network. */
export interface Probe {
  readonly httpGet?: { readonly port?: number | string; readonly [field: string]: unknown };
  readonly tcpSocket?: { readonly port?: number | string; readonly [field: string]: unknown };
  readonly grpc?: { readonly port?: number; readonly [field: string]: unknown };
  readonly exec?: object;
  readonly [field: string]: unknown;
}

/** What Knative calls its proxy beside the model. */
export const queueProxyName = 'queue-proxy';

/** The value of a container's variable; undefined where it is not set, or taken from somewhere else. */
export function variableOf(container: Container, name: string): string | undefined {
  return container.env?.find((variable) => variable.name === name)?.value;
}

/** The container with these variables set: in place where they were, else at the end. */
export function withVariables(container: Container, values: Readonly<Record<string, string>>): Container {
  const env = (container.env ?? []).map((variable) =>
    values[variable.name] === undefined ? variable : { name: variable.name, value: values[variable.name] as string },
  );
  const known = new Set(env.map(({ name }) => name));
  const added = Object.entries(values).filter(([name]) => !known.has(name));
  return { ...container, env: [...env, ...added.map(([name, value]) => ({ name, value }))] };
}

/** The value behind a flag such as `--component-port 8080`, or `--component-port=8080`. */
export function flagOf(container: Container, flag: string): string | undefined {
  const args = container.args ?? [];
  const at = args.indexOf(flag);
  if (at >= 0) return args[at + 1];
  return args.find((each) => each.startsWith(`${flag}=`))?.slice(flag.length + 1);
}

/** Whether a flag is among the arguments, with a value or without one. */
export function hasFlag(container: Container, flag: string): boolean {
  return (container.args ?? []).some((each) => each === flag || each.startsWith(`${flag}=`));
}

/** A port in range, or undefined. */
export function portNumber(text: string | number | undefined): number | undefined {
  const value = /^\d{1,5}$/.test(String(text)) ? Number(text) : 0;
  return value >= 1 && value <= 65_535 ? value : undefined;
}

/** The container with one of these names, the earlier name first. */
export function containerNamed(pod: Pod, ...names: string[]): Container | undefined {
  for (const name of names) {
    const found = pod.spec.containers.find((container) => container.name === name);
    if (found) return found;
  }
  return undefined;
}
