// How many replicas run, and how many a rate needs.
import { OptionWord } from './codes';
import { clamp, get, REPLICAS_MAX } from './memory';

/** A thousandth of an item a second is no traffic: what is left of a mean after the last request. */
export function isTraffic(rate: f64): bool {
  return rate > 1e-3;
}

/** Replicas for `rate` items a second where one takes `capacity`. */
export function replicasFor(rate: f64, capacity: f64): f64 {
  if (!isTraffic(rate)) return 0;
  return clamp(Math.ceil(rate / capacity - 1e-9), 1, REPLICAS_MAX);
}

/** Replicas that are there, Ready or not. */
export function running(option: usize): f64 {
  return get(option, OptionWord.Ready) + get(option, OptionWord.Pending);
}

/** `value`, or `otherwise` where it is NaN. */
export function known(value: f64, otherwise: f64): f64 {
  return value == value ? value : otherwise;
}
