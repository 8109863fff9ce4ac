import { z } from 'zod';
import { type PatchStep, patchBetween } from './json-patch.ts';

const objectSchema = z.looseObject({});

/** What the API server asks a webhook (admission.k8s.io/v1), as far as we read it. */
const reviewSchema = z.object({
  apiVersion: z.literal('admission.k8s.io/v1'),
  kind: z.literal('AdmissionReview'),
  request: z.object({
    uid: z.string().min(1).max(128),
    kind: z.object({ group: z.string(), version: z.string(), kind: z.string() }),
    operation: z.enum(['CREATE', 'UPDATE', 'DELETE', 'CONNECT']),
    namespace: z.string().optional(),
    name: z.string().optional(),
    dryRun: z.boolean().optional(),
    userInfo: z.object({ username: z.string().optional() }).optional(),
    object: objectSchema.nullish(),
    oldObject: objectSchema.nullish(),
  }),
});

export type AdmissionRequest = z.output<typeof reviewSchema>['request'];

/** A webhook's answer, before it is written as the API server wants it. */
export interface Verdict {
  /** The object as it should be; absent where nothing changes. */
  readonly object?: object;
  /** Why it is refused. */
  readonly denied?: string;
  readonly warnings: readonly string[];
  /** For metrics: one of a short fixed list. */
  readonly outcome: string;
}

const warningsMax = 16;
/** The API server cuts what is longer when there is much of it. */
const warningLengthMax = 512;

/** Reads a review. @throws {z.ZodError} where it is none. */
export function readReview(body: unknown): AdmissionRequest {
  return reviewSchema.parse(body).request;
}

/** The answer to a request, as the API server reads it. */
export function reviewAnswer(request: AdmissionRequest, verdict: Verdict): object {
  const steps: PatchStep[] = verdict.object ? patchBetween(request.object, verdict.object) : [];
  const warnings = verdict.warnings.slice(0, warningsMax).map((each) => each.slice(0, warningLengthMax));
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid: request.uid,
      allowed: verdict.denied === undefined,
      ...(verdict.denied === undefined ? {} : { status: { code: 422, reason: 'Invalid', message: verdict.denied } }),
      ...(steps.length > 0
        ? { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(steps)).toString('base64') }
        : {}),
      ...(warnings.length > 0 ? { warnings } : {}),
    },
  };
}
