import type { Recording } from '../telemetry/recording.ts';
import type { SimulatedRequest } from './run.ts';

/**
 * A recorded series of arrivals, one time in ms a line after a header, played faster or slower so that its mean rate is
 * `perSecond`.
 *
 * @throws {RangeError} if a line is no number, or the times do not rise.
 */
export function traceWorkload(text: string, perSecond: number, sloMs: number): SimulatedRequest[] {
  const lines = text.split('\n').slice(1);
  const times = lines.filter((line) => line !== '').map(Number);
  times.forEach((time, i) => {
    if (!Number.isFinite(time)) throw new RangeError(`line ${i + 2} of the trace is no number`);
    if (i > 0 && time < (times[i - 1] as number)) throw new RangeError(`line ${i + 2} of the trace goes back in time`);
  });
  const first = times[0];
  const last = times.at(-1);
  if (first === undefined || last === undefined || last === first) throw new RangeError('the trace spans no time');
  const scale = ((times.length / perSecond) * 1000) / (last - first);
  return times.map((time) => ({ at: (time - first) * scale, sloMs, lane: 0 }));
}

/** A companion has so many rows for lanes; here a lane beyond them shares the row of an earlier one. */
export const lanesMax = 256;

/**
 * The batched requests of a recording at their recorded times, faster by `speed`, each as one item with its recorded objective
 * or `sloMs`. Lanes are numbered in the order in which they occur.
 */
export function recordedWorkload(recording: Recording, speed: number, sloMs?: number): SimulatedRequest[] {
  const lanes = new Map<number, number>();
  const requests: SimulatedRequest[] = [];
  const first = recording.length > 0 ? recording.at(0).atMs : 0;
  for (const { protocol, atMs, objectiveMs, lane } of recording) {
    if (protocol === 'passed') continue;
    if (!lanes.has(lane)) lanes.set(lane, lanes.size % lanesMax);
    const objective = sloMs ?? (objectiveMs || (recording.segments[0]?.sloMs ?? 0));
    requests.push({ at: (atMs - first) / speed, sloMs: objective, lane: lanes.get(lane) as number });
  }
  return requests;
}
