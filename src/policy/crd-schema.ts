import { z } from 'zod';
import type { OptionKind } from './option-kinds.ts';
import { error, fieldOf, type Problem } from './problem.ts';
import type { ProblemCode } from './problem-codes.ts';
import { UnitError } from './units.ts';

/** A rule over several fields, once for the API server (CEL) and once for everybody else. */
export interface Rule<T> {
  /** `self` is the object; costs are bounded by the lengths of its strings. */
  readonly cel: string;
  readonly message: string;
  /** Absent where only the API server can tell, because it knows the old object. */
  readonly holds?: (value: T) => boolean;
}

/** Adds rules to a schema: checked by zod, and written into the CRD as `x-kubernetes-validations`. */
export function withRules<S extends z.ZodType>(schema: S, rules: readonly Rule<z.output<S>>[]): S {
  return schema
    .superRefine((value, context) => {
      for (const rule of rules) if (!doesHold(rule, value)) context.addIssue({ code: 'custom', message: rule.message });
    })
    .meta(celOf(rules)) as S;
}

function celOf(rules: readonly Rule<never>[]): Record<string, unknown> {
  if (rules.length === 0) return {};
  return { 'x-kubernetes-validations': rules.map(({ cel, message }) => ({ rule: cel, message })) };
}

/** A rule over values that are wrong by themselves says nothing: they are complained of already. */
function doesHold<T>({ holds }: Rule<T>, value: T): boolean {
  try {
    return holds === undefined || holds(value);
  } catch (thrown) {
    if (thrown instanceof UnitError) return true;
    throw thrown;
  }
}

/**
 * A string that one of the kinds of annotations reads, so that both spell values alike.
 *
 * @param pattern what the API server can check by itself
 */
export function textOf(
  kind: OptionKind,
  pattern: string,
  lengthMax: number,
  rules: readonly Rule<string>[] = [],
): z.ZodString {
  return z
    .string({ error: quoteIt })
    .max(lengthMax)
    .regex(new RegExp(pattern), {
      error: (issue) => complaint(kind, String(issue.input)) ?? `does not match ${pattern}`,
    })
    .superRefine((text, context) => {
      const message = complaint(kind, text);
      if (message !== undefined && new RegExp(pattern).test(text)) context.addIssue({ code: 'custom', message });
    })
    .meta(celOf(rules));
}

/** One of these words. YAML 1.1, as kubectl reads it, has an unquoted `off` for false. */
export function wordOf<const W extends readonly string[]>(...words: W): z.ZodEnum<{ [K in W[number]]: K }> {
  return z.enum(words, {
    error: (issue) =>
      typeof issue.input === 'boolean'
        ? `is ${issue.input}, as YAML reads some words: write it in quotes; there are: ${words.join(', ')}`
        : `is not one of: ${words.join(', ')}`,
  });
}

function quoteIt({ input }: { input?: unknown }): string {
  return input === undefined ? 'is missing' : `is not a string: write it in quotes, such as "${String(input)}"`;
}

function complaint(kind: OptionKind, text: string): string | undefined {
  try {
    kind.parse(text);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof UnitError) return thrown.message;
    throw thrown;
  }
}

/** Reads an object of a CRD's kind, or says all that is wrong with it. */
export function readObject<S extends z.ZodType>(
  schema: S,
  object: unknown,
  code: ProblemCode,
): { value?: z.output<S>; problems: Problem[] } {
  const result = schema.safeParse(object);
  if (result.success) return { value: result.data, problems: [] };
  return { problems: result.error.issues.flatMap((issue) => problemsOf(issue, code)) };
}

/**
 * An object without its status where that is not ours to read: one that another version of the controller wrote must not
 * make the spec wrong.
 */
export function withReadableStatus(object: unknown, schema: z.ZodType): unknown {
  if (typeof object !== 'object' || object === null || !('status' in object)) return object;
  const { status, ...rest } = object;
  return schema.safeParse(status).success ? object : rest;
}

function problemsOf(issue: z.core.$ZodIssue, code: ProblemCode): Problem[] {
  if (issue.code !== 'unrecognized_keys') return [error(code, fieldOf(issue.path), issue.message)];
  return issue.keys.map((key) => error(code, fieldOf([...issue.path, key]), 'there is no such field: take it out'));
}

/** A condition as all Kubernetes objects have it. */
export const conditionSchema = z.object({
  type: z.string().max(316),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().min(1).max(1024),
  message: z.string().max(32_768),
  lastTransitionTime: z.string().meta({ format: 'date-time' }),
  observedGeneration: z.int().min(0).optional(),
});

/** Conditions of a status. Each type is there once: server-side apply merges by it. */
export const conditionsSchema = z
  .array(conditionSchema)
  .max(8)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] });

export type Condition = z.output<typeof conditionSchema>;

/** What every object of ours carries. The API server has its own schema for metadata, so a CRD says only `object`. */
export const metadataSchema = z.looseObject({
  name: z.string(),
  namespace: z.string().optional(),
  uid: z.string().optional(),
  generation: z.number().optional(),
  resourceVersion: z.string().optional(),
  creationTimestamp: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});

export const group = 'paceline.dev';
export const version = 'v1alpha1';
export const apiVersion = `${group}/${version}`;
