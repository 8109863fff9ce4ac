import type { ProblemCode } from './problem-codes.ts';

/** What a user wrote that cannot work (`error`) or will hurt (`warning`). Admission, lint and status say the same. */
export interface Problem {
  readonly severity: 'error' | 'warning';
  /** Stable, such as `PL_ANNOTATION_VALUE`: docs/errors.md lists all of them. */
  readonly code: ProblemCode;
  /** Where, as Kubernetes writes it: `metadata.annotations[paceline.dev/slo]`, `spec.prices[0].price`. */
  readonly field: string;
  /** What is wrong, and what to do. */
  readonly message: string;
  /** Which object, as `Kind/namespace/name`, where it is not the one that was reviewed. */
  readonly object?: string;
}

/** A field, and the object that it is in where that is not the one that was reviewed. */
export interface Place {
  readonly field: string;
  readonly object?: string;
}

/** A problem at a place, made by `error` or `warning`. */
export function problemAt(make: typeof error, code: ProblemCode, place: Place, message: string): Problem {
  const problem = make(code, place.field, message);
  return place.object === undefined ? problem : { ...problem, object: place.object };
}

export function error(code: ProblemCode, field: string, message: string): Problem {
  return { severity: 'error', code, field, message };
}

export function warning(code: ProblemCode, field: string, message: string): Problem {
  return { severity: 'warning', code, field, message };
}

/** Whether what these problems are about must be refused. */
export function refuses(problems: readonly Problem[]): boolean {
  return problems.some(({ severity }) => severity === 'error');
}

/** The steps of a field, from the outside in: `spec.prices[0]` is `['spec', 'prices', 0]`. */
export function stepsOf(field: string): (string | number)[] {
  return [...field.matchAll(/\[([^\]]*)\]|[^.[\]]+/g)].map(([whole, key]) => {
    if (key === undefined) return whole;
    return /^\d+$/.test(key) ? Number(key) : key;
  });
}

/** The opposite of `stepsOf`. A key that is no plain name is written in brackets, as Kubernetes does for labels. */
export function fieldOf(steps: readonly PropertyKey[]): string {
  let field = '';
  for (const step of steps.map((each) => (typeof each === 'number' ? each : String(each)))) {
    if (typeof step === 'number' || !/^[A-Za-z_][\w-]*$/.test(step)) field += `[${step}]`;
    else field += field === '' ? step : `.${step}`;
  }
  return field;
}
