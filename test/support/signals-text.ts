/** What `/signals` of a companion of the revision `m-1` of service `a/m` says, with fields changed. */
export function signalsText(change: object = {}): string {
  const lane = (requests: number, scale: number) => ({
    target: '/v1/models/m:predict',
    requests,
    capacity: 80,
    knee: 32,
    latencyMs: [1, 4].map((items) => ({ items, expected: items * scale, quantile: items * scale * 2 })),
  });
  return JSON.stringify({
    schemaVersion: 2,
    isvc: 'a/m',
    isvcUid: 'u',
    revision: 'm-1',
    uptimeMs: 1,
    mode: 'act',
    policySequence: [3, 7],
    attainment: { share: 0.99, requests: 10 },
    arrivalRate: 5,
    arrivals: [1, 2, 3],
    busyShare: 0.5,
    waiting: 1,
    lateWaiting: 0,
    upstreamWaiting: null,
    inFlight: 1,
    inFlightLimit: 2,
    draining: false,
    lanes: [lane(9, 10), lane(29, 20)],
    lanesTotal: 2,
    mostSplittingHeader: null,
    ...change,
  });
}
