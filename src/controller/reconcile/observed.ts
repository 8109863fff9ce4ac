import type { KnativeSettings } from './knative-settings.ts';

/** The object that a policy is about. */
export interface TargetName {
  readonly group: 'serving.kserve.io' | 'serving.knative.dev';
  readonly kind: 'InferenceService' | 'Service';
  readonly namespace: string;
  readonly name: string;
}

/** Everything that the controller knows about one service from the API: a snapshot, made anew for each pass. */
export interface ObservedService {
  readonly target: TargetName;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** `knative` where Revisions and PodAutoscalers carry it, `standard` where a Deployment does. */
  readonly deploymentMode: 'knative' | 'standard';
  /** What scales it: KServe's autoscalerClass in Standard mode, the PodAutoscaler class in Knative mode. */
  readonly autoscaler: 'knative' | 'class' | 'external' | 'hpa' | 'keda' | 'none';
  readonly minReplicas: number;
  /** 0 is without bound. */
  readonly maxReplicas: number;
  /** Requests that a pod takes at once; 0 is without bound. */
  readonly containerConcurrency: number;
  /** What Knative's autoscaler does where Revisions say nothing. */
  readonly knative: KnativeSettings;
  readonly canaryTrafficPercent: number | undefined;
  readonly latestCreatedRevision: string | undefined;
  readonly latestReadyRevision: string | undefined;
  readonly latestRolledoutRevision: string | undefined;
  /** Oldest first. */
  readonly revisions: readonly ObservedRevision[];
  readonly deployment: ObservedDeployment | undefined;
  readonly pods: readonly ObservedPod[];
}

export interface ObservedRevision {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly createdMs: number;
  readonly ready: boolean;
  /** False for a revision that no Route points at: Knative ignores its min-scale. */
  readonly reachable: boolean;
  /** Those under `autoscaling.knative.dev/` only. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Share of the service's traffic in percent; 0 where none goes there. */
  readonly trafficPercent: number;
  /** Whether some of it is what goes to the latest Ready revision, whichever that is. */
  readonly hasLatestTraffic: boolean;
  readonly podAutoscaler: ObservedPodAutoscaler | undefined;
  /** Of a PodAutoscaler of our own class only. */
  readonly serverlessService: ObservedServerlessService | undefined;
}

export interface ObservedPodAutoscaler {
  /** Those under `autoscaling.knative.dev/` only. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly desiredScale: number;
  readonly actualScale: number;
  /** Where its class is ours, so that nobody else answers for it. */
  readonly own: OwnAutoscaler | undefined;
}

/** A PodAutoscaler of our own class (autoscaling.internal.knative.dev/v1alpha1). */
export interface OwnAutoscaler {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  /** Its Revision, where it is what Knative made. */
  readonly controllerUid: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** All of them. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly scaleTargetRef: Readonly<Record<string, unknown>>;
  readonly protocolType: string;
  /** How long its revision may take to come up. */
  readonly progressDeadlineMs: number;
  readonly status: AutoscalerStatus;
}

/** The status of a PodAutoscaler, with Knative's names. */
export interface AutoscalerStatus {
  readonly observedGeneration: number;
  readonly serviceName: string;
  readonly metricsServiceName: string;
  readonly desiredScale: number | undefined;
  readonly actualScale: number | undefined;
  readonly conditions: readonly AutoscalerCondition[];
}

export interface AutoscalerCondition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  readonly lastTransitionTime: string;
}

/** The Service of a revision, which leads to its pods or to Knative's activator (networking.internal.knative.dev/v1alpha1). */
export interface ObservedServerlessService {
  /** UID of the PodAutoscaler that it belongs to. */
  readonly controllerUid: string | undefined;
  readonly mode: 'Serve' | 'Proxy';
  /** 0: all. */
  readonly numActivators: number;
  readonly protocolType: string;
  /** Name of the Deployment behind it. */
  readonly target: string;
  readonly serviceName: string;
  readonly privateServiceName: string;
  readonly ready: boolean;
}

export interface ObservedDeployment {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly replicas: number;
  /** What its replicas were before us (heldReplicas); undefined where somebody else set them last. */
  readonly replicasBefore: number | undefined;
  readonly readyReplicas: number;
}

export interface ObservedPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** The Revision (Knative) or ReplicaSet (Standard) that it belongs to. */
  readonly revision: string;
  /** From status.podIP, and from nowhere else. */
  readonly ip: string | undefined;
  readonly node: string | undefined;
  readonly createdMs: number;
  /** When it became Ready; undefined while it is not. */
  readonly readyMs: number | undefined;
  readonly ending: boolean;
  /** Memory that its containers request, in GB: what some prices are by. */
  readonly memoryGb: number;
  /** Whether it has the companion: label `paceline.dev/companion`. */
  readonly companion: boolean;
}
