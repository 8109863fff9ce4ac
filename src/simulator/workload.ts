import { Random } from './random.ts';
import type { SimulatedModel, SimulatedRequest } from './run.ts';

/** The reference model of the figures: serial, 20 ms + 1 ms an item, 413 above 32. 100 % is 32 / 52 ms = 615 requests/s. */
export function referenceModel(noise = 0.02): SimulatedModel {
  return { servers: 1, perLane: false, maxItems: 32, noise, meanMs: (items) => 20 + items };
}

/** Requests per second at which the reference model is saturated. */
export const referenceCapacity = 32_000 / 52;

/** Poisson arrivals at `perSecond` for `seconds`; each request draws its objective and lane from `kinds` by weight. */
export function poisson(
  seed: number,
  start: number,
  seconds: number,
  perSecond: number | ((seconds: number) => number),
  kinds: readonly { weight: number; sloMs: number; lane: number }[],
): SimulatedRequest[] {
  const random = new Random(seed);
  const total = kinds.reduce((sum, kind) => sum + kind.weight, 0);
  const requests: SimulatedRequest[] = [];
  let at = 0;
  while (at < seconds * 1000) {
    const rate = typeof perSecond === 'number' ? perSecond : perSecond(at / 1000);
    at += random.exponential(1000 / rate);
    const kind = choose(kinds, random.uniform() * total);
    if (kind && at < seconds * 1000) requests.push({ at: start + at, sloMs: kind.sloMs, lane: kind.lane });
  }
  return requests;
}

/** On/off bursts: phases of exponential length (mean `phaseMs`) at two rates, `ratio` to 1, whose mean is `perSecond`. */
export function onOff(
  seed: number,
  start: number,
  seconds: number,
  perSecond: number,
  ratio: number,
  phaseMs: number,
  kinds: readonly { weight: number; sloMs: number; lane: number }[],
): SimulatedRequest[] {
  const random = new Random(seed);
  const low = (2 * perSecond) / (1 + ratio);
  const phases: SimulatedRequest[][] = [];
  let on = random.uniform() < 0.5;
  for (let at = 0; at < seconds * 1000; on = !on) {
    const length = Math.min(random.exponential(phaseMs), seconds * 1000 - at);
    const phaseSeed = Math.floor(random.uniform() * 2 ** 32);
    phases.push(poisson(phaseSeed, start + at, length / 1000, on ? low * ratio : low, kinds));
    at += length;
  }
  return phases.flat();
}

/** The entry in whose stretch of the cumulated weights `point` lies. */
function choose<T extends { weight: number }>(entries: readonly T[], point: number): T | undefined {
  let passed = 0;
  return entries.find((entry) => {
    passed += entry.weight;
    return point < passed;
  });
}
