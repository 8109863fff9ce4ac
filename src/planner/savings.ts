import type { ServicePlan } from './service-plan.ts';

/**
 * What following the plans would have saved, while they were only advised: the cost of what ran less the cost of what was
 * planned, over time. Negative where more should have run. In the plans' currency, or in replica-seconds.
 */
export class SavingsLedger {
  #saved = 0;
  #plan: ServicePlan | undefined;
  #at = 0;

  /** Total up to the last plan. */
  get saved(): number {
    return this.#saved;
  }

  /** The next plan: the one before held until now. A change of currency begins anew. */
  note(plan: ServicePlan): void {
    const before = this.#plan;
    if (before && before.currency !== plan.currency) this.#saved = 0;
    else if (before) this.#saved += (before.savedPerHour * Math.max(plan.at - this.#at, 0)) / 3_600_000;
    this.#plan = plan;
    this.#at = Math.max(plan.at, this.#at);
  }
}
