import { planRollout } from '../../src/controller/rollout/rollout.ts';
import type { RolloutState } from '../../src/controller/rollout/state.ts';
import type { ModelCalls, RevisionView } from '../../src/controller/rollout/view.ts';
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
  /** Ms of a batch at the candidate as a multiple of the stable one's, and the noise (sigma) of both curves and of each call. */
  readonly slowed?: number;
  readonly noise?: number;
  readonly callNoise?: number;
  /** What a second makes of the times of either revision's calls. Default 1. */
  readonly hour?: (of: 'candidate' | 'stable', second: number) => number;
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
  const { noise = 0.1, callNoise = 0.1, slowed = 1, quantile = 0.99, hour = () => 1 } = walk;
  const curve = (factor: number): RevisionView['latencyMs'] =>
    [1, 4, 16].map((items) => ({ items, expected: (50 + 5 * items) * factor * random.noise(noise) }));
  let state: RolloutState | undefined;
  let percent = 0;
  let exposed = 0;
  for (let second = 1; second <= secondsMax; second++) {
    const candidate = draw((walk.rate * percent) / 100, walk.candidate.late(second, random), random);
    const stable = draw((walk.rate * (100 - percent)) / 100, walk.stable.late(second, random), random);
    const candidateCalls = calls(candidate.requests, slowed * hour('candidate', second), callNoise, random);
    const stableCalls = calls(stable.requests, hour('stable', second), callNoise, random);
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
          ['a', { readyReplicas: 2, outcomes: stable, calls: stableCalls, latencyMs: curve(1) }],
          ['b', { readyReplicas: 2, outcomes: candidate, calls: candidateCalls, latencyMs: curve(slowed) }],
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

/** The calls that so many requests of a second are made in: a tenth of them together. */
export function calls(requests: number, slowed: number, noise: number, random: Random): ModelCalls {
  let [count, tookMs] = [0, 0];
  const size = Math.max(1, Math.round(requests / 10));
  for (let left = requests; left > 0; left -= size) {
    count++;
    tookMs += (50 + 5 * Math.min(size, left)) * slowed * random.noise(noise);
  }
  return { calls: count, items: requests, tookMs };
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
