/** What a code of a `Problem` means, and what is done about it. docs/errors.md is written from this. */
export interface ProblemSpec {
  readonly severity: 'error' | 'warning';
  readonly meaning: string;
  readonly help: string;
}

/** Everything that admission, `paceline lint` and conditions say about services, policies and price lists. */
export const problemSpecs = {
  PL_ANNOTATION_VALUE: {
    severity: 'error',
    meaning: 'An annotation has a value that it cannot have.',
    help: 'The message says what would be right: see [annotations.md](annotations.md).',
  },
  PL_ANNOTATION_UNKNOWN: {
    severity: 'warning',
    meaning: 'An annotation begins with `paceline.dev/` and means nothing; it is ignored.',
    help: 'Correct its name: the message says which one was probably meant.',
  },
  PL_ANNOTATION_PLACE: {
    severity: 'warning',
    meaning: 'An annotation is where it reaches no pod.',
    help: 'Move it: to `metadata.annotations` of an InferenceService, to `spec.template.metadata.annotations` of a Knative Service.',
  },
  PL_SLO_MISSING: {
    severity: 'warning',
    meaning: 'There are settings but no `paceline.dev/slo`, so that nothing happens.',
    help: 'Add `paceline.dev/slo`, or take the others out.',
  },
  PL_LATE_TIMEOUT: {
    severity: 'error',
    meaning: 'The late timeout is shorter than the SLO: requests would fail before they are late.',
    help: 'Make it at least the SLO, or leave it out for 5 x SLO.',
  },
  PL_ACCURACY_MISSING: {
    severity: 'warning',
    meaning: 'A variant of a group does not say how accurate it is.',
    help: 'Measure it and set `paceline.dev/accuracy`.',
  },
  PL_ACCURACY_FLOOR: {
    severity: 'error',
    meaning: 'The only variant is less accurate than the floor allows.',
    help: 'Lower `min-accuracy`, or name a group with `variant-of`.',
  },
  PL_CURRENCY: {
    severity: 'error',
    meaning: 'Amounts that have to be compared are in different currencies.',
    help: 'Write all of them, and the PriceList, in one currency.',
  },
  PL_SYNTAX: {
    severity: 'error',
    meaning: 'A file that `paceline lint` was given is neither YAML nor JSON.',
    help: 'The line and the message say where it breaks; templates have to be rendered first.',
  },
  PL_KIND_UNKNOWN: {
    severity: 'error',
    meaning: 'An object of `paceline.dev` is of a kind or a version that there is not.',
    help: 'Correct its `kind` or `apiVersion`: the message says which was probably meant.',
  },
  PL_POLICY_SPEC: {
    severity: 'error',
    meaning: 'An InferencePolicy is not as its CRD says.',
    help: 'The field and the message say what would be right: see [crds.md](crds.md).',
  },
  PL_PRICE_LIST: {
    severity: 'error',
    meaning: 'A PriceList is not as its CRD says.',
    help: 'The field and the message say what would be right: see [crds.md](crds.md).',
  },
  PL_POLICY_CONFLICT: {
    severity: 'warning',
    meaning:
      'Two InferencePolicies name the same service. The older one holds; one that a user made holds before one that the controller made.',
    help: 'Merge them into one.',
  },
  PL_NOT_OPTED_IN: {
    severity: 'warning',
    meaning: 'An InferencePolicy is about a service without `paceline.dev/slo`, whose pods have no companion.',
    help: 'Add the annotation to the service.',
  },
  PL_DEPLOYMENT_MODE: {
    severity: 'error',
    meaning: 'The service is deployed by ModelMesh, whose pods serve many models.',
    help: 'Use Knative or Standard, or take `paceline.dev/slo` out.',
  },
  PL_CONCURRENCY: {
    severity: 'warning',
    meaning:
      '`containerConcurrency` is below twice the batch. queue-proxy counts requests that wait for company, so that batches stay small; with 1 nothing is ever batched.',
    help: 'Leave it out, raise it, or lower `max-batch-size`.',
  },
  PL_SCALE_TARGET: {
    severity: 'warning',
    meaning:
      'The target of concurrent requests is below the batch, so that requests that wait for company add replicas.',
    help: 'Raise it, or use mode `act`, which sets it.',
  },
  PL_TIMEOUT: {
    severity: 'warning',
    meaning: 'The timeout of the service is shorter than the late timeout.',
    help: 'Raise the one, or lower the other.',
  },
  PL_BATCHER: {
    severity: 'warning',
    meaning:
      "Settings of KServe's own batcher fight the policy: another size, a wait beyond the SLO, a timeout that nothing reads.",
    help: 'Take the batcher out, or write what the message says.',
  },
  PL_CLASS_ZERO: {
    severity: 'error',
    meaning: 'A revision whose scale is handed to the controller by its class cannot scale to zero.',
    help: 'Set a minimum of at least 1, or leave the class out.',
  },
  PL_CLASS_ALONE: {
    severity: 'warning',
    meaning: 'A service names our autoscaler class, and nothing is promised that it could be scaled for.',
    help: 'Add `paceline.dev/slo`, or leave the class out: until then the controller hands its revisions to Knative.',
  },
  PL_AUTOSCALER: {
    severity: 'warning',
    meaning: 'What scales this service is not for us to set: the number of replicas is advice only.',
    help: 'Use autoscalerClass `external` in Standard mode; leave the class out in Knative mode.',
  },
  PL_CANARY_BYPASSED: {
    severity: 'warning',
    meaning: "The Service of a canary in `spec.canary` leads past the companion to the model's own port.",
    help: 'Compare versions in Knative mode, or without a companion.',
  },
  PL_ROLLOUT_MODE: {
    severity: 'warning',
    meaning: '`rollout: auto` where there is no canary to walk: in Standard mode, and for a plain Knative Service.',
    help: 'Use an InferenceService in Knative mode, or leave `rollout` out.',
  },
  PL_CANARY_BY_HAND: {
    severity: 'warning',
    meaning: '`canaryTrafficPercent` is written by hand while `rollout: auto` owns it.',
    help: 'Take it out, or set `rollout` to `manual`.',
  },
  PL_FROZEN: {
    severity: 'warning',
    meaning: '`serving.kserve.io/disable-auto-update` keeps KServe from carrying canary steps out.',
    help: 'Take it out, or set `rollout` to `manual`.',
  },
  PL_PROBE_KIND: {
    severity: 'warning',
    meaning:
      "In Standard mode KServe's agent, which stands in where our webhook is down, does not start with a readiness probe of kind exec or grpc.",
    help: 'Use httpGet or tcpSocket.',
  },
  PL_PRICE_MISSING: {
    severity: 'warning',
    meaning: 'There is a budget and no price, so that it bounds nothing.',
    help: 'Set `replica-cost`, or create a PriceList.',
  },
  PL_BUDGET: {
    severity: 'error',
    meaning:
      'The budget does not pay the replicas that always run. Where it depends on the node, or where there are none at times, it is a warning.',
    help: 'Raise it, or lower the minimum.',
  },
  PL_SLO_UNREACHABLE: {
    severity: 'warning',
    meaning: 'The SLO is below what the model takes for one request alone, as measured.',
    help: 'Raise it, or make the model faster.',
  },
  PL_LANES_SPLIT: {
    severity: 'warning',
    meaning: 'A request header keeps requests apart that could share batches, as measured.',
    help: 'Where the model does not answer by it, add it to `share-across-headers`.',
  },
  PL_COLD_START: {
    severity: 'warning',
    meaning: 'The service scales to zero and a cold start takes longer than the SLO, as measured.',
    help: 'Keep one replica, where the first requests matter.',
  },
  PL_PRICE_LIST_CONFLICT: {
    severity: 'warning',
    meaning: 'There is more than one PriceList: the oldest holds.',
    help: 'Merge them into one: two currencies cannot be added up.',
  },
  PL_POD_PULLER: {
    severity: 'warning',
    meaning: "A pod loads models at run time (KServe's agent with a puller): it gets no companion.",
    help: 'Serve the model by an InferenceService of its own.',
  },
  PL_POD_FOREIGN_AGENT: {
    severity: 'warning',
    meaning: "A container of the pod is called `agent` and is not KServe's: the pod gets no companion.",
    help: 'Call it something else.',
  },
  PL_POD_NAME_TAKEN: {
    severity: 'warning',
    meaning: 'A container of the pod is called `paceline` and is not the companion: the pod gets none.',
    help: 'Call it something else.',
  },
  PL_POD_PORT_TAKEN: {
    severity: 'warning',
    meaning: 'A container of the pod listens on 9081, 9085 or 9086: the pod gets no companion.',
    help: 'Move it to another port.',
  },
  PL_POD_NO_MODEL: {
    severity: 'warning',
    meaning: 'No container of the pod serves a model.',
    help: 'Put `paceline.dev/slo` on services that do.',
  },
  PL_POD_BYPASS: {
    severity: 'warning',
    meaning:
      'In Standard mode a Service points at the companion only where there is a `predictor.batcher`: the pod gets no companion.',
    help: 'Write any field of the InferenceService, so that admission adds the batcher; its next pods get a companion.',
  },
  PL_ADMISSION_FAILED: {
    severity: 'warning',
    meaning: 'A webhook could not look at an object and let it through as it is.',
    help: 'The log of the controller says why.',
  },
} as const satisfies Record<string, ProblemSpec>;

export type ProblemCode = keyof typeof problemSpecs;
