import {
  EvidenceField,
  RolloutAction,
  RolloutReason,
  StepField,
  StepVerdictField,
} from '../../assembly/placement/rollout-codes.ts';
import { instantiateKernel, type KernelSource } from './load.ts';

export { RolloutAction, RolloutReason };

type KernelFunction = (...args: number[]) => number;

interface EvidenceExports {
  memory: WebAssembly.Memory;
  evidence_at: KernelFunction;
  step_at: KernelFunction;
  step_verdict_at: KernelFunction;
  evidence_fields: KernelFunction;
  evidence_begin: KernelFunction;
  evidence_next_share: KernelFunction;
  evidence_observe: KernelFunction;
  evidence_observe_cost: KernelFunction;
  decide_step: KernelFunction;
}

/** What ended at one revision since the last look: all requests, those late or failed, and those failed. */
export interface Outcomes {
  readonly requests: number;
  readonly late: number;
  readonly failed: number;
}

/** Calls of the model that ended at one revision since the last look, with the ms that they took. */
export interface CallCosts {
  readonly calls: number;
  readonly tookMs: number;
  /** What the baseline's and the candidate's curve say for calls of these sizes, above 0 where there were any. */
  readonly byBaselineMs: number;
  readonly byCandidateMs: number;
}

/** What calls cost beside their time. */
export interface CostTerms {
  /** The candidate's price as a multiple of the baseline's. */
  readonly prices: number;
  /** The multiple of the baseline's cost beyond which a candidate is too dear. */
  readonly tolerance: number;
}

/** A walk's evidence as the kernel keeps it: store it, hand it back, do not read meaning into it elsewhere. */
export type EvidenceRecord = readonly number[];

/** The facts that a step is decided from; undefined: unknown. Shares are 0 to 1, times ms, rates items a second. */
export interface StepFacts {
  readonly share: number;
  readonly nextShare: number;
  /** Since the share was in the traffic; undefined before that. */
  readonly onStepMs: number | undefined;
  readonly leastMs: number;
  readonly leastRequests: number;
  readonly silentMs: number;
  readonly silentMsMax: number;
  readonly ready: number;
  readonly load: number | undefined;
  readonly capacity: number | undefined;
  readonly baselineReady: number;
  readonly costRatio: number | undefined;
  readonly cost: number | undefined;
  readonly budget: number | undefined;
  readonly accuracy: number | undefined;
  readonly baselineAccuracy: number | undefined;
  readonly accuracyFloor: number | undefined;
  readonly quantile: number;
  readonly maxReplicas: number | undefined;
}

export interface StepVerdict {
  readonly action: RolloutAction;
  readonly reason: RolloutReason;
  readonly runnerUp: { readonly action: RolloutAction; readonly reason: RolloutReason };
  /** Replicas that the candidate needs for its next share. */
  readonly replicas: number;
  /** Expected change of the share of requests that miss or fail, and of the cost as a share of it; undefined: unknown. */
  readonly expect: { readonly misses: number; readonly cost: number | undefined };
}

/** The rollout's half of placement.wasm: the sequential test and the decision of a step. Keeps nothing between calls. */
export class RolloutEvidence {
  readonly #kernel: EvidenceExports;

  /** @throws {Error} if the kernel's boundary is of another version than this host's. */
  constructor(from?: KernelSource) {
    this.#kernel = instantiateKernel('placement', from) as unknown as EvidenceExports;
    const fields = (EvidenceField.Count << 16) | (StepField.Count << 8) | StepVerdictField.Count;
    if (this.#kernel.evidence_fields?.() !== fields) {
      throw new Error('placement.wasm does not fit this program: run `npm run build` so that both are of one version');
    }
  }

  /** The evidence of a walk that begins. */
  begin(): EvidenceRecord {
    this.#kernel.evidence_begin();
    return this.#store();
  }

  /** The evidence at a new share: what was learned stays, the share has to earn its own blocks. */
  nextShare(evidence: EvidenceRecord): EvidenceRecord {
    this.#load(evidence);
    this.#kernel.evidence_next_share();
    return this.#store();
  }

  /** Adds what ended in the `elapsedMs` since the last look. */
  observe(
    evidence: EvidenceRecord,
    elapsedMs: number,
    candidate: Outcomes,
    baseline: Outcomes,
    quantile: number,
  ): EvidenceRecord {
    this.#load(evidence);
    this.#kernel.evidence_observe(
      elapsedMs,
      candidate.requests,
      candidate.late,
      candidate.failed,
      baseline.requests,
      baseline.late,
      baseline.failed,
      quantile,
    );
    return this.#store();
  }

  /** Adds what calls of the model cost in the `elapsedMs` since the last look. */
  observeCost(
    evidence: EvidenceRecord,
    elapsedMs: number,
    candidate: CallCosts,
    baseline: CallCosts,
    { prices, tolerance }: CostTerms,
  ): EvidenceRecord {
    this.#load(evidence);
    this.#kernel.evidence_observe_cost(
      elapsedMs,
      candidate.calls,
      candidate.tookMs,
      candidate.byBaselineMs,
      candidate.byCandidateMs,
      baseline.calls,
      baseline.tookMs,
      baseline.byBaselineMs,
      baseline.byCandidateMs,
      prices,
      tolerance,
    );
    return this.#store();
  }

  decide(evidence: EvidenceRecord, facts: StepFacts): StepVerdict {
    this.#load(evidence);
    const unknown = Number.NaN;
    this.#floats(this.#kernel.step_at(), StepField.Count).set([
      facts.share,
      facts.nextShare,
      facts.onStepMs ?? -1,
      facts.leastMs,
      facts.leastRequests,
      facts.silentMs,
      facts.silentMsMax,
      facts.ready,
      facts.load ?? unknown,
      facts.capacity ?? unknown,
      facts.baselineReady,
      facts.costRatio ?? unknown,
      facts.cost ?? unknown,
      facts.budget ?? unknown,
      facts.accuracy ?? unknown,
      facts.baselineAccuracy ?? unknown,
      facts.accuracyFloor ?? unknown,
      facts.quantile,
      facts.maxReplicas ?? unknown,
    ]);
    this.#kernel.decide_step();
    const verdict = this.#floats(this.#kernel.step_verdict_at(), StepVerdictField.Count);
    const cost = verdict[StepVerdictField.Cost] as number;
    return {
      action: verdict[StepVerdictField.Action] as RolloutAction,
      reason: verdict[StepVerdictField.Reason] as RolloutReason,
      runnerUp: {
        action: verdict[StepVerdictField.RunnerUp] as RolloutAction,
        reason: verdict[StepVerdictField.RunnerUpReason] as RolloutReason,
      },
      replicas: verdict[StepVerdictField.Replicas] as number,
      expect: { misses: verdict[StepVerdictField.Misses] as number, cost: Number.isNaN(cost) ? undefined : cost },
    };
  }

  /** Evidence that was stored by another version, or damaged, counts as none: the walk gathers again. */
  #load(evidence: EvidenceRecord): void {
    const fits = evidence.length === EvidenceField.Count && evidence.every(Number.isFinite);
    if (fits) this.#floats(this.#kernel.evidence_at(), EvidenceField.Count).set(evidence);
    else this.#kernel.evidence_begin();
  }

  #store(): EvidenceRecord {
    return Array.from(this.#floats(this.#kernel.evidence_at(), EvidenceField.Count), rounded);
  }

  #floats(at: number, count: number): Float64Array {
    return new Float64Array(this.#kernel.memory.buffer, at, count);
  }
}

/** Six digits: enough for every decision, and a status that people can read. Most are counts, which need no rounding. */
function rounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(6));
}

const against = [EvidenceField.LateLog, EvidenceField.FailLog, EvidenceField.CostLog];

/** What people want to know of a walk's evidence. Odds are the wealths of the bets: 1 says nothing, 250 decides. */
export function evidenceSummary(evidence: EvidenceRecord): {
  readonly blocks: number;
  readonly requests: number;
  readonly oddsWorse: number;
  readonly oddsGood: number;
} {
  const log = Math.max(...against.map((field) => evidence[field] ?? 0));
  return {
    blocks: evidence[EvidenceField.Blocks] ?? 0,
    requests: evidence[EvidenceField.Requests] ?? 0,
    oddsWorse: Math.exp(log),
    oddsGood: Math.exp(evidence[EvidenceField.SafeLog] ?? 0),
  };
}
