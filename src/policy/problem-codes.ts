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
    help: 'The message says what would be right.',
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
  PL_POLICY_SPEC: {
    severity: 'error',
    meaning: 'An InferencePolicy is not as its CRD says.',
    help: 'The field and the message say what would be right.',
  },
  PL_PRICE_LIST: {
    severity: 'error',
    meaning: 'A PriceList is not as its CRD says.',
    help: 'The field and the message say what would be right.',
  },
} as const satisfies Record<string, ProblemSpec>;

export type ProblemCode = keyof typeof problemSpecs;
