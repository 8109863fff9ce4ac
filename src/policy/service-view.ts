import { annotationPrefix } from './annotations.ts';
import { fieldOf } from './problem.ts';

/** A value and the field that it was read from. */
export interface Setting<T> {
  readonly value: T;
  readonly field: string;
}

/** What of an InferenceService or a Knative Service matters to a policy. Values of another type than KServe's count as absent. */
export interface ServiceView {
  readonly kind: 'InferenceService' | 'Service';
  readonly name: string;
  readonly namespace: string;
  /** Those that reach its pods, and the steps to them. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly annotationsAt: readonly string[];
  /** Fields of annotations of ours that reach no pod, or not all of them. */
  readonly misplaced: readonly string[];
  /** Undefined: the cluster's default. */
  readonly deploymentMode: 'knative' | 'standard' | 'modelmesh' | undefined;
  /** What scales it in Standard mode. */
  readonly autoscalerClass: Setting<string> | undefined;
  /** Knative's PodAutoscaler class, where one is given. */
  readonly podAutoscalerClass: Setting<string> | undefined;
  readonly minReplicas: Setting<number> | undefined;
  readonly maxReplicas: Setting<number> | undefined;
  readonly containerConcurrency: Setting<number> | undefined;
  /** Of concurrent requests in one replica. */
  readonly concurrencyTarget: Setting<number> | undefined;
  readonly timeoutSeconds: Setting<number> | undefined;
  /** KServe's own batcher. */
  readonly batcher:
    | {
        readonly field: string;
        readonly maxBatchSize: number | undefined;
        /** In ms. */
        readonly maxLatency: number | undefined;
        readonly timeout: number | undefined;
      }
    | undefined;
  readonly canaryTrafficPercent: Setting<number> | undefined;
  /** KServe 0.20's list of canaries (Standard mode). */
  readonly canaries: Setting<number> | undefined;
  /** A readiness probe of the model's container that is neither HTTP nor TCP: `exec` or `grpc`. */
  readonly foreignProbe: Setting<string> | undefined;
  /** `serving.kserve.io/disable-auto-update`: KServe reconciles nothing while the service is ready. */
  readonly frozen: Setting<true> | undefined;
}

type Tree = Readonly<Record<string, unknown>>;

/** The class that hands a revision's scale to the controller (actuator `class`). */
export const podAutoscalerClass = 'autoscaler.paceline.dev';

/** Reads an InferenceService (serving.kserve.io) or a Service of Knative; undefined for any other object. */
export function viewService(object: unknown): ServiceView | undefined {
  if (!isTree(object) || typeof object.apiVersion !== 'string') return undefined;
  const [group] = object.apiVersion.split('/');
  if (group === 'serving.kserve.io' && object.kind === 'InferenceService') return viewInferenceService(object);
  if (group === 'serving.knative.dev' && object.kind === 'Service') return viewKnativeService(object);
  return undefined;
}

function viewInferenceService(object: Tree): ServiceView {
  const read = new Reader(object);
  const annotationsAt = ['metadata', 'annotations'];
  const annotations = read.texts(annotationsAt);
  const predictor = (field: string) => read.number('spec', 'predictor', field);
  const metric = read.at('spec', 'predictor', 'scaleMetric');
  const batcherField = ['spec', 'predictor', 'batcher'];
  const canaries = read.at('spec', 'canary');
  return {
    ...read.names(),
    kind: 'InferenceService',
    annotations,
    annotationsAt,
    misplaced: read.oursIn('spec', 'predictor', 'annotations'),
    deploymentMode: modeOf(read.at('status', 'deploymentMode') ?? annotations['serving.kserve.io/deploymentMode']),
    autoscalerClass: read.text(...annotationsAt, 'serving.kserve.io/autoscalerClass'),
    podAutoscalerClass: read.text(...annotationsAt, 'autoscaling.knative.dev/class'),
    minReplicas: predictor('minReplicas'),
    maxReplicas: predictor('maxReplicas'),
    containerConcurrency: predictor('containerConcurrency'),
    concurrencyTarget:
      (metric === undefined || metric === 'concurrency' ? predictor('scaleTarget') : undefined) ??
      read.numeral(...annotationsAt, 'autoscaling.knative.dev/target'),
    timeoutSeconds: predictor('timeout'),
    batcher: isTree(read.at(...batcherField))
      ? {
          field: fieldOf(batcherField),
          maxBatchSize: read.number(...batcherField, 'maxBatchSize')?.value,
          maxLatency: read.number(...batcherField, 'maxLatency')?.value,
          timeout: read.number(...batcherField, 'timeout')?.value,
        }
      : undefined,
    canaryTrafficPercent: predictor('canaryTrafficPercent'),
    canaries:
      Array.isArray(canaries) && canaries.length > 0 ? { value: canaries.length, field: 'spec.canary' } : undefined,
    foreignProbe:
      read.foreignProbe(['spec', 'predictor', 'model']) ?? read.foreignProbe(['spec', 'predictor', 'containers', 0]),
    frozen:
      annotations['serving.kserve.io/disable-auto-update'] === 'true'
        ? { value: true, field: fieldOf([...annotationsAt, 'serving.kserve.io/disable-auto-update']) }
        : undefined,
  };
}

function viewKnativeService(object: Tree): ServiceView {
  const read = new Reader(object);
  const annotationsAt = ['spec', 'template', 'metadata', 'annotations'];
  const scale = (...names: string[]) =>
    names
      .map((name) => read.numeral(...annotationsAt, `autoscaling.knative.dev/${name}`))
      .find((setting) => setting !== undefined);
  const metric = read.at(...annotationsAt, 'autoscaling.knative.dev/metric');
  return {
    ...read.names(),
    kind: 'Service',
    annotations: read.texts(annotationsAt),
    annotationsAt,
    misplaced: read.oursIn('metadata', 'annotations'),
    deploymentMode: 'knative',
    autoscalerClass: undefined,
    podAutoscalerClass: read.text(...annotationsAt, 'autoscaling.knative.dev/class'),
    // Knative reads a hyphenated key before its alias in camel case.
    minReplicas: scale('min-scale', 'minScale'),
    maxReplicas: scale('max-scale', 'maxScale'),
    containerConcurrency: read.number('spec', 'template', 'spec', 'containerConcurrency'),
    concurrencyTarget: metric === undefined || metric === 'concurrency' ? scale('target') : undefined,
    timeoutSeconds: read.number('spec', 'template', 'spec', 'timeoutSeconds'),
    batcher: undefined,
    canaryTrafficPercent: undefined,
    canaries: undefined,
    foreignProbe: undefined,
    frozen: undefined,
  };
}

/** KServe's words, with those that its defaulter rewrites. */
function modeOf(text: unknown): ServiceView['deploymentMode'] {
  switch (text) {
    case 'Knative':
    case 'Serverless':
      return 'knative';
    case 'Standard':
    case 'RawDeployment':
      return 'standard';
    case 'ModelMesh':
      return 'modelmesh';
    default:
      return undefined;
  }
}

/** Walks an object of unknown form. */
class Reader {
  readonly #object: Tree;

  constructor(object: Tree) {
    this.#object = object;
  }

  names(): { name: string; namespace: string } {
    const metadata = this.at('metadata');
    const { name, generateName, namespace } = isTree(metadata) ? metadata : {};
    return {
      name: typeof name === 'string' ? name : typeof generateName === 'string' ? generateName : '',
      namespace: typeof namespace === 'string' ? namespace : 'default',
    };
  }

  at(...steps: (string | number)[]): unknown {
    let value: unknown = this.#object;
    for (const step of steps) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
      value = (value as Record<string | number, unknown>)[step];
    }
    return value;
  }

  number(...steps: string[]): Setting<number> | undefined {
    const value = this.at(...steps);
    return typeof value === 'number' && Number.isFinite(value) ? { value, field: fieldOf(steps) } : undefined;
  }

  text(...steps: string[]): Setting<string> | undefined {
    const value = this.at(...steps);
    return typeof value === 'string' ? { value, field: fieldOf(steps) } : undefined;
  }

  /** A number in a string, as annotations have it. */
  numeral(...steps: string[]): Setting<number> | undefined {
    const text = this.text(...steps);
    return text !== undefined && /^\d+(?:\.\d+)?$/.test(text.value)
      ? { value: Number(text.value), field: text.field }
      : undefined;
  }

  texts(steps: readonly string[]): Record<string, string> {
    const value = this.at(...steps);
    // A value that is no string is kept: that is complained of where it is ours, as the API server would.
    return isTree(value) ? ({ ...value } as Record<string, string>) : {};
  }

  oursIn(...steps: string[]): string[] {
    return Object.keys(this.texts(steps))
      .filter((key) => key.startsWith(annotationPrefix))
      .map((key) => fieldOf([...steps, key]));
  }

  foreignProbe(container: (string | number)[]): Setting<string> | undefined {
    const steps = [...container, 'readinessProbe'];
    const probe = this.at(...steps);
    const value = isTree(probe) ? ['exec', 'grpc'].find((kind) => isTree(probe[kind])) : undefined;
    return value === undefined ? undefined : { value, field: fieldOf(steps) };
  }
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
