import type { DomainSignals } from '../kernels/batching.ts';
import type { CompanionOptions } from '../policy/companion-options.ts';
import type { CompanionMetrics } from '../telemetry/companion-metrics.ts';
import type { Arrivals } from './arrivals.ts';
import type { LaneTable } from './lanes.ts';
import type { PolicyInForce } from './policy-in-force.ts';

const lanesShown = 32;
const sizesShown = [1, 4, 16, 32, 64];

/** Where signals come from. */
export interface SignalSource {
  readonly options: CompanionOptions;
  readonly policy: PolicyInForce;
  /** The one whose decisions count. */
  readonly scheduler: {
    readonly signals: DomainSignals;
    readonly lanes: LaneTable;
    readonly deciding: boolean;
    readonly waiting: number;
    readonly inFlight: number;
  };
  readonly metrics: CompanionMetrics;
  readonly arrivals: Arrivals;
  readonly uptimeMs: number;
  /** Requests that queue-proxy holds back, on average over a second; null where there is none or it does not say. */
  readonly waitingUpstream: number | null;
  readonly draining: boolean;
  readonly eventLoopLagMs: number;
}

/**
 * What a companion has learned, for the controller and for people. Rates in items a second, times in ms. Fields may be
 * added under the same version: readers overlook what they do not know.
 */
export function signalsOf(source: SignalSource): object {
  const { scheduler, options, policy, arrivals } = source;
  const { signals } = scheduler;
  const { mode, sloMs, sloQuantile, maxBatchSize, patience } = policy.current;
  const lanes = [...scheduler.lanes.all()].sort((one, other) => other.requests - one.requests).slice(0, lanesShown);
  return {
    schemaVersion: 2,
    isvc: options.isvc,
    isvcUid: options.isvcUid,
    revision: options.revision,
    uptimeMs: source.uptimeMs,
    mode,
    policySequence: policy.sequence,
    policyExpiresInMs: policy.expiresInMs,
    sloMs,
    sloQuantile,
    maxBatchSize,
    patience,
    deciding: scheduler.deciding,
    draining: source.draining,
    attainment: source.metrics.attained(),
    totals: source.metrics.totals(),
    arrivalRate: signals.arrivalRate(),
    arrivals: arrivals.lastMinute(performance.now()),
    busyShare: signals.busyShare(),
    waiting: scheduler.waiting,
    lateWaiting: signals.lateWaiting(),
    upstreamWaiting: source.waitingUpstream,
    inFlight: scheduler.inFlight,
    inFlightLimit: signals.parallelLimit(),
    eventLoopLagMs: source.eventLoopLagMs,
    lanes: lanes.map((lane) => ({
      target: lane.target,
      requests: lane.requests,
      capacity: signals.laneCapacity(lane.row),
      knee: signals.laneKnee(lane.row),
      latencyMs: sizesShown.map((items) => ({
        items,
        expected: signals.expectedMs(lane.row, items),
        quantile: signals.quantileMs(lane.row, items),
      })),
    })),
    lanesTotal: scheduler.lanes.size,
    mostSplittingHeader: scheduler.lanes.mostSplittingHeader(),
  };
}
