import type { CompanionGauges } from '../../src/telemetry/companion-metrics.ts';

const zero = () => 0;

/** Of a companion that does nothing. */
export const noGauges: CompanionGauges = {
  waiting: zero,
  lateWaiting: zero,
  waitingBytes: zero,
  inFlight: zero,
  parallelLimit: zero,
  lanes: zero,
  arrivalRate: zero,
  busyShare: zero,
  quarantinedLanes: zero,
  circuitState: zero,
  eventLoopLagMs: zero,
  payloadEvents: zero,
  payloadBytes: zero,
};
