import type { CompanionMetrics } from '../telemetry/companion-metrics.ts';
import type { Scheduler } from './scheduler.ts';

const lanesShown = 32;
const sizesShown = [1, 4, 16, 32, 64];

/** What a companion has learned, for the controller and for people. Rates in items a second, times in ms. */
export function signalsOf(scheduler: Scheduler, metrics: CompanionMetrics, eventLoopLagMs: number): object {
  const { signals } = scheduler;
  const lanes = [...scheduler.lanes.all()].sort((one, other) => other.requests - one.requests).slice(0, lanesShown);
  return {
    schemaVersion: 1,
    deciding: scheduler.deciding,
    attainment: metrics.attainment(),
    arrivalRate: signals.arrivalRate(),
    busyShare: signals.busyShare(),
    waiting: scheduler.waiting,
    lateWaiting: signals.lateWaiting(),
    inFlight: scheduler.inFlight,
    inFlightLimit: signals.parallelLimit(),
    eventLoopLagMs,
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
