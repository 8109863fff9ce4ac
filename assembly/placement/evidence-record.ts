import { EvidenceField } from './rollout-codes';

// The record of a walk's evidence, the facts of a step and its verdict. One of each, because one decision is made at a
// time: the host loads the record of the service that it is about.
//
//   record  | EvidenceField.Count f64     input | StepField.Count f64     verdict | StepVerdictField.Count f64

export const record: usize = memory.data(42 * 8, 8);
export const input: usize = memory.data(19 * 8, 8);
export const verdict: usize = memory.data(7 * 8, 8);

// @ts-ignore: decorator
@inline export function get(field: EvidenceField): f64 {
  return load<f64>(record + (<usize>field << 3));
}

// @ts-ignore: decorator
@inline export function put(field: EvidenceField, value: f64): void {
  store<f64>(record + (<usize>field << 3), value);
}

/** The difference that is no harm: what the objective itself leaves, at least half a percent. */
export function harmless(quantile: f64): f64 {
  return max(1.0 - quantile, 0.005);
}

/** The difference from which a candidate is not good enough: 5 %, or twice what the objective leaves. */
export function margin(quantile: f64): f64 {
  return min(max(2.0 * (1.0 - quantile), 0.05), 0.5);
}

/** Mean difference of the late shares, candidate less baseline, over the blocks that are remembered. */
export function difference(quantile: f64): f64 {
  return get(EvidenceField.Blocks) == 0 ? 0 : margin(quantile) - get(EvidenceField.SafeMean);
}
