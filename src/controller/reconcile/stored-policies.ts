import type { KubeObject } from '../../kube/objects.ts';
import { type InferencePolicy, readInferencePolicy } from '../../policy/inference-policy.ts';
import { serviceKeyOf } from './projections.ts';

/** An InferencePolicy as it is stored: what does not fit the schema is kept out, with what is wrong. */
export interface StoredPolicy {
  readonly name: string;
  readonly namespace: string;
  readonly service: string;
  readonly value: InferencePolicy;
  readonly generation: number;
  readonly holding: string | undefined;
}

/** undefined for what does not fit the schema. */
export function projectPolicy(object: KubeObject): StoredPolicy | undefined {
  const { name, namespace = '', uid, generation = 0, labels, annotations, creationTimestamp } = object.metadata;
  // The rest of its metadata is longer than the policy, and of no use here.
  const { value } = readInferencePolicy({ ...object, metadata: { name, namespace, uid, labels, creationTimestamp } });
  if (!value) return undefined;
  const { kind, name: target } = value.spec.targetRef;
  const service = serviceKeyOf({ kind, namespace, name: target });
  return { name, namespace, service, value, generation, holding: annotations?.['paceline.dev/original'] };
}
