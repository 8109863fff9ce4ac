import { median } from '../measure.ts';
import type { BenchRow } from '../report.ts';
import { saturate } from '../support/load.ts';
import type { Contender } from './contender.ts';
import { cpuUsOf } from './cpu.ts';

export const rounds = 3;
const settledMs = 300;
const settleMsMax = 20_000;

/** What a part of the comparison is given. */
export interface PeersRun {
  /** How long a turn is counted. */
  readonly seconds: number;
  readonly progress: (text: string) => void;
}

/**
 * Measures ways in turns, A B C A B C ..., each alone: what belongs to the others does nothing meanwhile. Returns the
 * figures of each way, one a round.
 */
export async function inTurns<Figures>(
  ways: readonly Contender[],
  what: string,
  { progress }: PeersRun,
  measure: (way: Contender, round: number) => Promise<Figures>,
  count = rounds,
): Promise<Figures[][]> {
  const figures: Figures[][] = ways.map(() => []);
  for (let round = 0; round < count; round++) {
    for (const [i, way] of ways.entries()) {
      progress(`${what}, round ${round + 1} of ${count}: ${way.name}`);
      await way.begin();
      try {
        (figures[i] as Figures[]).push(await measure(way, round));
        await settle(way);
      } finally {
        await way.end();
      }
    }
  }
  return figures;
}

/** Waits until nothing is left of a turn: one request is answered as quickly as an idle way answers it. */
async function settle(way: Contender): Promise<void> {
  if (way.endsWithTurn) return;
  const until = performance.now() + settleMsMax;
  while (performance.now() < until) {
    const from = performance.now();
    const { path, body } = shotOf(way, 1000);
    const answer = await fetch(`http://127.0.0.1:${way.port}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal: AbortSignal.timeout(settleMsMax),
    });
    await answer.arrayBuffer();
    if (answer.status === 200 && performance.now() - from < settledMs) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What the callers of a way send. */
export function shotOf(way: Contender, bytes: number): { path: string; body: string } {
  return { path: way.path, body: way.body(bytes) };
}

/** CPU a request in microseconds, of these processes, while `work` sends as many as it returns. */
export async function cpuARequest(pids: readonly number[], work: () => Promise<number>): Promise<number> {
  const before = cpuUsOf(pids);
  const requests = await work();
  return (cpuUsOf(pids) - before) / requests;
}

/** So many connections with a request on each at all times. */
export function saturated(way: Contender, connections: number, seconds: number, bytes: number): Promise<number> {
  return saturate(way.port, connections, seconds, way.body(bytes), way.path);
}

/** The median over the rounds of one way's figure over another's of the same round. */
export function ratioOf(own: readonly number[], others: readonly number[]): number {
  return median(own.map((value, i) => value / (others[i] as number)));
}

export function atMost(name: string, value: number, unit: string, bar: number): BenchRow {
  return { name, value, unit, bar: `<= ${bar}`, holds: value <= bar };
}
