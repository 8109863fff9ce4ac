import type { PriceList } from '../../policy/price-list.ts';
import type { Problem } from '../../policy/problem.ts';
import { reviewService } from '../../policy/review-service.ts';
import type { Target } from './projections.ts';
import type { StoredPolicy } from './stored-policies.ts';

/**
 * What admission would say about one service as it stands now. It is said again by the controller, because admission may
 * have missed it, never sees plain Knative Services, and knows nothing of policies and prices that came later. An error is
 * said like a warning: the service is there, and what can be done for it is done.
 */
export class StandingReview {
  #key = '';
  #list: PriceList | undefined;
  #problems: readonly Problem[] = [];

  /** Worked out anew only where something that it depends on has changed. */
  problems(target: Target, policies: readonly StoredPolicy[], list: PriceList | undefined): readonly Problem[] {
    if (target.view === undefined) return [];
    const key = [target.resourceVersion, ...policies.map(({ name, generation }) => `${name}:${generation}`)].join(' ');
    if (key === this.#key && list === this.#list) return this.#problems;
    this.#key = key;
    this.#list = list;
    const problems = reviewService({
      service: target.view,
      policies: policies.map(({ value }) => value),
      priceLists: list ? [list] : [],
      deploymentMode: target.deploymentMode,
      // What a rollout has written is no mistake of the user's.
      canaryIsOurs: true,
    });
    // What is about another object is said there.
    this.#problems = problems
      .filter(({ object }) => object === undefined)
      .map((problem) => ({ ...problem, message: `${problem.field}: ${problem.message}` }));
    return this.#problems;
  }
}
