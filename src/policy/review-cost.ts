import { choosePriceList } from './price-list.ts';
import { error, type Problem, problemAt, warning } from './problem.ts';
import type { ReviewContext } from './review-context.ts';

/** What one replica costs an hour, as far as it is known without its node. */
interface ReplicaPrice {
  readonly least: number;
  readonly most: number;
  readonly currency: string | undefined;
}

/** Whether the budget can be kept, and pays what has to run. */
export function reviewCost(context: ReviewContext): Problem[] {
  const { policy, priceLists, where, minReplicas } = context;
  const { budget } = policy;
  if (budget === undefined) return [];
  const place = where('budget');
  const price = priceOf(context);
  if (price === undefined) {
    const list = choosePriceList(priceLists ?? []);
    // With other billing the cost follows the requests, which only the planner knows.
    if (list !== undefined) return [];
    const message =
      priceLists === undefined
        ? 'a budget is kept only where prices are known: set replica-cost, or make sure that the cluster has a PriceList'
        : 'the budget bounds nothing, because no price is known: set replica-cost, or create a PriceList';
    return [problemAt(warning, 'PL_PRICE_MISSING', place, message)];
  }
  if (budget.currency && price.currency && budget.currency !== price.currency) {
    const message = `the budget is in ${budget.currency} and prices are in ${price.currency}: write both in one currency`;
    // Two of the service's own annotations have been compared before.
    return policy.replicaCost?.currency ? [] : [problemAt(error, 'PL_CURRENCY', place, message)];
  }
  const replicas = Math.max(1, minReplicas);
  const needed = replicas * price.least;
  if (needed > budget.perHour) {
    const amount = `${shown(needed)} an hour`;
    return [
      minReplicas > 0
        ? problemAt(
            error,
            'PL_BUDGET',
            place,
            `the budget of ${shown(budget.perHour)} an hour does not pay ${replicas === 1 ? 'the one replica' : `the ${replicas} replicas`} that always run (${amount}): raise it, or lower the minimum`,
          )
        : problemAt(
            warning,
            'PL_BUDGET',
            place,
            `the budget of ${shown(budget.perHour)} an hour pays one replica (${amount}) only part of the time: raise it`,
          ),
    ];
  }
  if (replicas * price.most > budget.perHour) {
    return [
      problemAt(
        warning,
        'PL_BUDGET',
        place,
        `on the dearest nodes of the PriceList the budget of ${shown(budget.perHour)} an hour does not pay ${replicas} of its replicas (${shown(replicas * price.most)}): raise it, or select cheaper nodes`,
      ),
    ];
  }
  return [];
}

function priceOf({ policy, priceLists }: ReviewContext): ReplicaPrice | undefined {
  if (policy.replicaCost !== undefined) {
    const { perHour, currency } = policy.replicaCost;
    return { least: perHour, most: perHour, currency: currency ?? choosePriceList(priceLists ?? [])?.spec.currency };
  }
  const list = choosePriceList(priceLists ?? []);
  if (list === undefined || list.spec.billing !== 'replica-seconds') return undefined;
  const prices = list.spec.prices.map(({ price }) => price);
  return { least: Math.min(...prices), most: Math.max(...prices), currency: list.spec.currency };
}

function shown(amount: number): string {
  return String(Number(amount.toPrecision(6)));
}
