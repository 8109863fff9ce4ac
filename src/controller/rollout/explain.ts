import { evidenceSummary, RolloutReason } from '../../kernels/rollout-evidence.ts';
import type { RolloutPlan } from './rollout.ts';

const sentences: Readonly<Record<number, string>> = {
  [RolloutReason.Started]: 'it is Ready and has the replicas for its first share',
  [RolloutReason.StepPassed]: 'the evidence at the share before does not speak against it',
  [RolloutReason.ProvenGood]: 'it is proven to meet the objective as often, within the margin',
  [RolloutReason.MissesMore]: 'it is proven to miss the objective more often',
  [RolloutReason.FailsMore]: 'it is proven to fail more often',
  [RolloutReason.CostsMore]:
    'a request is proven to cost more than half as much again, and no higher accuracy is declared',
  [RolloutReason.OverBudget]: 'serving everything with it would cost more than the budget',
  [RolloutReason.BelowFloor]: 'its declared accuracy is below the floor',
  [RolloutReason.LessAccurate]: 'its declared accuracy is lower, and it is not cheaper',
  [RolloutReason.AwaitingRevision]: 'it is not Ready yet',
  [RolloutReason.Warming]: 'it lacks ready replicas for its next share',
  [RolloutReason.Settling]: 'its share is not in the traffic yet, or only just',
  [RolloutReason.Gathering]: 'there is too little evidence at this share yet',
  [RolloutReason.Doubtful]: 'the evidence leans against it',
  [RolloutReason.NoEvidence]: 'one of both revisions has had no requests, or was not heard, for a minute',
  [RolloutReason.Idle]: 'nothing is being rolled out',
  [RolloutReason.RolledBack]: 'the candidate lost: a newer revision will be walked',
  [RolloutReason.ForeignWriter]: 'somebody else keeps writing canaryTrafficPercent: take it out of what they apply',
  [RolloutReason.PromotedElsewhere]: 'KServe rolled it out without us',
  [RolloutReason.RolledBackElsewhere]:
    'KServe serves the model before the last: canaryTrafficPercent 100 serves the last again',
  [RolloutReason.Unwalked]: 'its update came past the webhook, so that KServe gives it everything when it is Ready',
  [RolloutReason.BaselineMoved]:
    'KServe took another revision for the last one rolled out: the comparison begins again',
  [RolloutReason.BaselineLost]: 'KServe fell back to the model before the last: the last one gets everything again',
};

/** What a plan says to people: who has which share, why, the evidence, and what is expected of the move. */
export function explain({ state, reason, expect }: RolloutPlan): string {
  if (!state) return sentences[reason] ?? '';
  const { candidate, stable, percent, evidence } = state;
  const why = sentences[reason] ?? '';
  if (candidate === '') return `${stable}: ${why}`;
  const { requests, blocks, oddsWorse, oddsGood } = evidenceSummary(evidence);
  const share = percent === null ? candidate : `${candidate} gets ${percent} %`;
  const told =
    requests === 0
      ? ''
      : ` After ${requests} requests in ${blocks} blocks the odds are ${odds(oddsWorse)} that it is worse than ${stable}, ${odds(oddsGood)} that it is as good.`;
  const misses =
    expect && requests > 0 && expect.misses !== 0
      ? ` Expected: ${points(expect.misses)} points of late or failed requests.`
      : '';
  return `${share}: ${why}.${told}${misses}`;
}

function odds(wealth: number): string {
  return `${wealth >= 1000 ? '>1000' : wealth.toPrecision(2)}:1`;
}

function points(share: number): string {
  return `${share > 0 ? '+' : ''}${(100 * share).toFixed(2)}`;
}
