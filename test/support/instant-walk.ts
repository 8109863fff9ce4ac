import { planRollout } from '../../src/controller/rollout/rollout.ts';
import type { RolloutState } from '../../src/controller/rollout/state.ts';
import type { RevisionView } from '../../src/controller/rollout/view.ts';
import { type Outcomes, RolloutEvidence, RolloutReason } from '../../src/kernels/rollout-evidence.ts';
import { Random } from '../../src/simulator/random.ts';

/** How requests of a revision end, second by second. */
export interface Weather {
  /** Probability that a request is late or fails in this second. */
  late(second: number, random: Random): number;
}

export interface InstantWalk {
  readonly candidate: Weather;
  readonly stable: Weather;
  /** Ms of a batch at the candidate as a multiple of the stable one's, and the noise (sigma) of both curves. */
  readonly slowed?: number;
  readonly noise?: number;
  /** Requests a second of the whole service. */
  readonly rate: number;
  readonly quantile?: number;
}

export interface WalkEnd {
  readonly reason: RolloutReason;
  readonly seconds: number;
  /** Share of all requests of the walk that went to the candidate. */
  readonly exposed: number;
}

const kernel = new RolloutEvidence();

/** Walks one revision with a KServe that does at once what it is told, and says how it ended. */
export function walkOnce(walk: InstantWalk, seed: number, secondsMax = 1500): WalkEnd {
  const random = new Random(seed);
  const { noise = 0.1, slowed = 1, quantile = 0.99 } = walk;
  const curve = (factor: number): RevisionView['latencyMs'] =>
    [1, 4, 16].map((items) => ({ items, expected: (50 + 5 * items) * factor * random.noise(noise) }));
  let state: RolloutState | undefined;
  let percent = 0;
  let exposed = 0;
  for (let second = 1; second <= secondsMax; second++) {
    const candidate = draw((walk.rate * percent) / 100, walk.candidate.late(second, random), random);
    const stable = draw((walk.rate * (100 - percent)) / 100, walk.stable.late(second, random), random);
    exposed += candidate.requests;
    const plan = planRollout(
      state,
      {
        nowMs: second * 1000,
        consent: true,
        deploymentMode: 'knative',
        percent,
        predictor: {
          latestCreatedRevision: 'b',
          latestReadyRevision: 'b',
          latestRolledoutRevision: 'a',
          traffic: [
            { revisionName: 'b', latestRevision: true, percent },
            { revisionName: 'a', percent: 100 - percent, tag: 'prev' },
          ],
        },
        quantile,
        load: walk.rate,
        plannedReplicas: 2,
        maxReplicas: 0,
        revisions: new Map([
          ['a', { readyReplicas: 2, outcomes: stable, latencyMs: curve(1) }],
          ['b', { readyReplicas: 2, outcomes: candidate, latencyMs: curve(slowed) }],
        ]),
      },
      kernel,
    );
    state = plan.state;
    percent = plan.percent ?? percent;
    if (state?.phase === 'promoting' || state?.phase === 'rolledBack') {
      return { reason: plan.reason, seconds: second, exposed: exposed / (walk.rate * second) };
    }
  }
  return { reason: RolloutReason.None, seconds: secondsMax, exposed: exposed / (walk.rate * secondsMax) };
}

function draw(mean: number, late: number, random: Random): Outcomes {
  let requests = 0;
  let missed = 0;
  for (let left = random.exponential(1); left < mean; left += random.exponential(1)) {
    requests++;
    if (random.uniform() < late) missed++;
  }
  return { requests, late: missed, failed: 0 };
}

/** Always the same. */
export function steady(late: number): Weather {
  return { late: () => late };
}

/** Mostly `late`, with bursts of some seconds in which half of the requests are late: one in `every` seconds begins one. */
export function bursts(late: number, every: number, seconds: number, seed: number): Weather {
  const random = new Random(seed);
  let until = 0;
  return {
    late: (second) => {
      if (second >= until && random.uniform() < 1 / every) until = second + 1 + Math.floor(random.uniform() * seconds);
      return second < until ? 0.5 : late;
    },
  };
}

/** Ends of many walks by reason, with the medians of time and exposure. */
export function summary(ends: readonly WalkEnd[]): {
  shares: Record<string, number>;
  seconds: number;
  exposed: number;
} {
  const shares: Record<string, number> = {};
  for (const { reason } of ends) {
    const name = RolloutReason[reason] ?? '';
    shares[name] = (shares[name] ?? 0) + 1 / ends.length;
  }
  const middle = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
  return { shares, seconds: middle(ends.map((end) => end.seconds)), exposed: middle(ends.map((end) => end.exposed)) };
}
