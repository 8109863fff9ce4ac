import { SavingsLedger } from '../../planner/savings.ts';
import type { ServicePlan } from '../../planner/service-plan.ts';
import type { InferencePolicyStatus } from '../../policy/inference-policy.ts';
import type { ReplicaPrice } from '../../policy/price-list.ts';
import type { LatencySample } from '../signals/parse-signals.ts';
import { ColdStarts } from './cold-starts.ts';
import type { CredibleCurve } from './curves.ts';
import { Demand } from './demand.ts';
import type { Score } from './score.ts';
import { StandingReview } from './standing-review.ts';
import { Warnings } from './warnings.ts';

/** A service that is updated every day must not be remembered day by day. */
const curvesMax = 16;

/**
 * What the controller remembers of one service between passes. All of it may be lost: a leader that starts anew first
 * only raises, until it has seen enough to lower.
 */
export class ServiceMemory {
  /** On the monotonic clock. */
  readonly sinceMs: number;
  readonly demand = new Demand();
  readonly coldStarts = new ColdStarts();
  readonly savings = new SavingsLedger();
  readonly #curves = new Map<string, readonly LatencySample[]>();
  /** Revisions whose curve was measured. */
  readonly #measured = new Set<string>();
  /** Of a replica when one last ran whose node has a price. */
  price: ReplicaPrice | undefined;
  plan: ServicePlan | undefined;
  score: Score | undefined;
  /** When a companion was last heard, on the monotonic clock. */
  heardMs: number | undefined;
  /** Since when `advise` has been adding up, on the wall clock. */
  advisingSinceMs: number | undefined;
  rollout: InferencePolicyStatus['rollout'];
  /** What was last written, and when on the monotonic clock. */
  status: { readonly written: InferencePolicyStatus; readonly atMs: number } | undefined;
  /** Why steering was refused last, so that an event says it once. */
  refusal: string | undefined;
  readonly warnings = new Warnings();
  readonly review = new StandingReview();
  /** Whether originals may be held somewhere: false after they were given back. */
  mayHold = true;

  constructor(nowMs: number) {
    this.sinceMs = nowMs;
  }

  /** The last learned curve of each revision that was heard lately. */
  get curves(): ReadonlyMap<string, readonly LatencySample[]> {
    return this.#curves;
  }

  /** Takes in a curve; what fresh companions assume does not replace what others have measured. */
  noteCurve(revision: string, { latencyMs, trusted }: CredibleCurve): void {
    if (trusted) this.#measured.add(revision);
    else if (this.#measured.has(revision)) return;
    this.#curves.delete(revision);
    this.#curves.set(revision, latencyMs);
    if (this.#curves.size <= curvesMax) return;
    const oldest = this.#curves.keys().next().value as string;
    this.#curves.delete(oldest);
    this.#measured.delete(oldest);
  }
}
