import type { DomainSignals } from '../kernels/batching.ts';
import type { CompanionOptions } from '../policy/companion-options.ts';
import type { CompanionMetrics } from '../telemetry/companion-metrics.ts';
import type { Arrivals } from './arrivals.ts';
import type { Lane, LaneTable } from './batching/lanes.ts';
import type { PolicyInForce } from './policy-in-force.ts';
import type { Circuit } from './upstream/circuit.ts';

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
  readonly circuit: Circuit;
  readonly eventLoopLagMs: number;
}

/**
 * What a companion has learned, for the controller and for people. Rates in items a second, times in ms. Fields may be
 * added under the same version: readers overlook what they do not know.
 */
export function signalsOf(source: SignalSource): object {
  const { scheduler, options, policy, arrivals } = source;
  const { signals } = scheduler;
  const now = performance.now();
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
    arrivals: arrivals.lastMinute(now),
    busyShare: signals.busyShare(),
    waiting: scheduler.waiting,
    lateWaiting: signals.lateWaiting(),
    upstreamWaiting: source.waitingUpstream,
    inFlight: scheduler.inFlight,
    inFlightLimit: signals.parallelLimit(),
    eventLoopLagMs: source.eventLoopLagMs,
    circuit: { state: source.circuit.state, triesInMs: source.circuit.pauseLeft(now) },
    quarantinedLanes: scheduler.lanes.quarantined(now),
    lanes: lanes.map((lane) => ({
      target: lane.target,
      requests: lane.requests,
      quarantine: quarantineOf(lane, now),
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

/** Why requests of a lane are kept apart, and in how many ms it is tried again whether they need be; null where they are not. */
function quarantineOf({ quarantine }: Lane, now: number): object | null {
  const state = quarantine?.state(now) ?? 'over';
  return quarantine && state !== 'over' ? { why: quarantine.why, state, triesInMs: quarantine.pauseLeft(now) } : null;
}
