import { OptionWord } from './codes';
import { get, REPLICAS_MAX } from './memory';
import { Size } from './problem';
import { known, replicasFor, running } from './replicas';

/** Replicas for each one that is ready, where the best capacity known says that the demand needs them. */
const ON_DEMAND: f64 = 8.0;
/** And where only a capacity that has become worse says so. */
const IN_DOUBT: f64 = 2.0;
/** And where no number of replicas would keep the promise, so that more only work off what waits. */
const IN_VAIN: f64 = 1.5;
/** Beyond what the best capacity known needs by this factor nothing is believed. */
const BEYOND_BEST: f64 = 4.0;

/** The capacity to hold a growing need against: the best of what is measured now and of what earlier plans believed. */
export function bestOf(option: usize, size: Size): f64 {
  const before = known(get(option, OptionWord.Best), 0);
  return size.unlearned ? before : max(before, size.comfortable);
}

/**
 * Most replicas that an option may grow to in one plan.
 *
 * A step of demand may need many at once, and they are granted when the best capacity that is known asks for them. A
 * capacity that fell asks for more too, but then it is either the model that became slower, or a node that is too busy,
 * which more replicas only make busier. So replicas grow there by doubling what is ready, which takes a cold start each
 * time, nothing grows while planned ones are still starting, and all of it ends at a small multiple of what the best capacity
 * needs. The best is believed less with time (the host sees to it), so that a model that stays slow gets its replicas.
 */
export function growthLimit(option: usize, size: Size): f64 {
  const before = known(get(option, OptionWord.Planned), running(option));
  if (size.unlearned || size.best <= 0) return max(before, size.need);
  const ready = max(get(option, OptionWord.Ready), 1);
  const needed = replicasFor(size.rate, size.best);
  const asked = size.unreachable ? 0 : min(needed, ON_DEMAND * ready);
  const stepped = size.unreachable ? Math.ceil(IN_VAIN * ready) : IN_DOUBT * ready + 1.0;
  // Pods that start though all that were planned are there are the autoscaler's own, in its panic: they are no step of ours.
  const stepping = get(option, OptionWord.Pending) > 0 && ready < before;
  const doubted = stepping ? 0 : min(stepped, BEYOND_BEST * max(needed, 1));
  return min(max(max(before, 1), max(asked, doubted)), REPLICAS_MAX);
}
