/** What the controller keeps of one companion's `/signals`. Rates in items a second, times in ms. */
export interface CompanionSignals {
  /** `namespace/name`; empty where the companion was not told. */
  readonly isvc: string;
  readonly isvcUid: string;
  readonly revision: string;
  readonly uptimeMs: number;
  readonly mode: 'act' | 'advise' | 'off';
  /** Of the policy document in force; undefined: the injected configuration. */
  readonly policySequence: readonly [number, number] | undefined;
  /** Share of the last minute's requests that met the SLO, and how many there were. */
  readonly attainment: number | undefined;
  readonly requests: number;
  readonly arrivalRate: number;
  /** Items in each of the last whole seconds, oldest first, at most 60. */
  readonly arrivals: readonly number[];
  readonly busyShare: number;
  readonly waiting: number;
  readonly lateWaiting: number;
  readonly upstreamWaiting: number | undefined;
  readonly inFlight: number;
  readonly inFlightLimit: number;
  readonly draining: boolean;
  /** Items a second that one replica was seen to serve within the objective; 0 if unknown. */
  readonly capacity: number;
  /** How late the companion itself was of late, at its worst. */
  readonly eventLoopLagMs: number;
  /** Measured time by batch size, over all lanes by their requests. */
  readonly latencyMs: readonly LatencySample[];
  /** Counts that only grow, since the companion started; for the rollout's test. */
  readonly totals: SignalTotals | undefined;
  readonly mostSplittingHeader: { readonly name: string; readonly lanes: number } | undefined;
}

export interface LatencySample {
  readonly items: number;
  readonly expected: number;
  readonly quantile: number;
}

export interface SignalTotals {
  readonly requests: number;
  readonly attained: number;
  readonly missed: number;
  readonly failed: number;
  readonly batches: number;
  readonly items: number;
  /** Calls of the model that were answered, with their items and the ms that they took; older companions do not say. */
  readonly calls: { readonly calls: number; readonly items: number; readonly tookMs: number } | undefined;
}

/** A companion said something that cannot be. What it says is left out as a whole. */
export class SignalError extends Error {
  override readonly name = 'SignalError';
}

const rateMax = 1e7;
const countMax = 1e9;
const timeMsMax = 3.6e6;
const lanesMax = 256;
const modes = ['act', 'advise', 'off'] as const;

/**
 * Reads `/signals`, schema version 2. A pod is not trusted: every number has a range, every list a length, and one
 * wrong field makes all of it wrong, because half of what a confused companion says would be planned with.
 *
 * @throws {SignalError}
 */
export function parseSignals(body: string): CompanionSignals {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new SignalError('not JSON');
  }
  const top = fields(value, 'signals');
  if (top.schemaVersion !== 2) throw new SignalError(`schema version ${String(top.schemaVersion).slice(0, 20)}, not 2`);
  const attainment = fields(top.attainment, 'attainment');
  const lanes = list(top.lanes, 'lanes', lanesMax).map(readLane);
  return {
    isvc: word(top.isvc, 'isvc'),
    isvcUid: word(top.isvcUid, 'isvcUid'),
    revision: word(top.revision, 'revision'),
    uptimeMs: within(top.uptimeMs, 'uptimeMs', 0, 1e13),
    mode: oneOf(top.mode, 'mode', modes),
    policySequence: orNull(top.policySequence, sequence),
    attainment: orNull(attainment.share, (each) => within(each, 'attainment.share', 0, 1)),
    requests: within(attainment.requests, 'attainment.requests', 0, countMax),
    arrivalRate: within(top.arrivalRate, 'arrivalRate', 0, rateMax),
    arrivals: list(top.arrivals, 'arrivals', 60).map((each) => within(each, 'arrivals', 0, rateMax)),
    busyShare: within(top.busyShare, 'busyShare', 0, 1.001),
    waiting: within(top.waiting, 'waiting', 0, countMax),
    lateWaiting: within(top.lateWaiting, 'lateWaiting', 0, countMax),
    upstreamWaiting: orNull(top.upstreamWaiting, (each) => within(each, 'upstreamWaiting', 0, countMax)),
    inFlight: within(top.inFlight, 'inFlight', 0, countMax),
    inFlightLimit: within(top.inFlightLimit, 'inFlightLimit', 0, countMax),
    draining: top.draining === true,
    capacity: lanes.reduce((sum, lane) => Math.max(sum, lane.capacity), 0),
    latencyMs: joined(lanes),
    eventLoopLagMs: orNull(top.eventLoopLagMs, (each) => within(each, 'eventLoopLagMs', 0, timeMsMax)) ?? 0,
    totals: orNull(top.totals, readTotals),
    mostSplittingHeader: orNull(top.mostSplittingHeader, (each) => {
      const header = fields(each, 'mostSplittingHeader');
      return { name: word(header.name, 'header'), lanes: within(header.lanes, 'lanes', 0, countMax) };
    }),
  };
}

interface Lane {
  readonly requests: number;
  readonly capacity: number;
  readonly latencyMs: readonly LatencySample[];
}

function readLane(value: unknown): Lane {
  const lane = fields(value, 'lane');
  const points = list(lane.latencyMs, 'latencyMs', 64).map((each) => {
    const point = fields(each, 'latencyMs');
    return {
      items: within(point.items, 'items', 1, 65_536),
      expected: orNull(point.expected, (number) => within(number, 'expected', 0, timeMsMax)),
      quantile: orNull(point.quantile, (number) => within(number, 'quantile', 0, timeMsMax)),
    };
  });
  return {
    requests: within(lane.requests, 'requests', 0, 1e15),
    capacity: orNull(lane.capacity, (each) => within(each, 'capacity', 0, rateMax)) ?? 0,
    // A size without a time is one that has not been learned.
    latencyMs: points.filter(
      (point): point is LatencySample => (point.expected ?? 0) > 0 && point.quantile !== undefined,
    ),
  };
}

/** One curve for all lanes: the mean of each size, weighted by the lanes' requests. */
function joined(lanes: readonly Lane[]): LatencySample[] {
  const bySize = new Map<number, { weight: number; expected: number; quantile: number }>();
  for (const { requests, latencyMs } of lanes) {
    for (const { items, expected, quantile } of latencyMs) {
      const sum = bySize.get(items) ?? { weight: 0, expected: 0, quantile: 0 };
      const weight = requests + 1;
      sum.weight += weight;
      sum.expected += weight * expected;
      sum.quantile += weight * quantile;
      bySize.set(items, sum);
    }
  }
  return [...bySize]
    .sort(([one], [other]) => one - other)
    .map(([items, { weight, expected, quantile }]) => ({
      items,
      expected: expected / weight,
      quantile: quantile / weight,
    }));
}

function readTotals(value: unknown): SignalTotals {
  const totals = fields(value, 'totals');
  const read = (name: Exclude<keyof SignalTotals, 'calls'>) => within(totals[name], `totals.${name}`, 0, 1e15);
  return {
    requests: read('requests'),
    attained: read('attained'),
    missed: read('missed'),
    failed: read('failed'),
    batches: read('batches'),
    items: read('items'),
    calls: orNull(totals.calls, (each) => {
      const calls = fields(each, 'totals.calls');
      const readCall = (name: string) => within(calls[name], `totals.calls.${name}`, 0, 1e15);
      return { calls: readCall('calls'), items: readCall('items'), tookMs: readCall('tookMs') };
    }),
  };
}

function sequence(value: unknown): [number, number] {
  const [first, second] = list(value, 'policySequence', 2);
  return [within(first, 'policySequence', 0, 2 ** 53), within(second, 'policySequence', 0, 2 ** 53)];
}

function fields(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new SignalError(`${what} is no object`);
  return value as Record<string, unknown>;
}

function list(value: unknown, what: string, most: number): unknown[] {
  if (!Array.isArray(value) || value.length > most) throw new SignalError(`${what} is no list of at most ${most}`);
  return value;
}

function within(value: unknown, what: string, low: number, high: number): number {
  if (typeof value !== 'number' || !(value >= low && value <= high)) {
    throw new SignalError(`${what} is not a number from ${low} to ${high}`);
  }
  return value;
}

function word(value: unknown, what: string): string {
  if (typeof value !== 'string' || value.length > 512) throw new SignalError(`${what} is no short text`);
  return value;
}

function oneOf<T extends string>(value: unknown, what: string, words: readonly T[]): T {
  const found = words.find((each) => each === value);
  if (found === undefined) throw new SignalError(`${what} is none of ${words.join(', ')}`);
  return found;
}

function orNull<T>(value: unknown, read: (value: unknown) => T): T | undefined {
  return value === null || value === undefined ? undefined : read(value);
}
