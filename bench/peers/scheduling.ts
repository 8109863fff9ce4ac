import { clairvoyantGoodput } from '../../src/simulator/rivals/clairvoyant.ts';
import { parallelCapacity, referenceMs } from '../../src/simulator/scenarios/rows.ts';
import { onOff, poisson, referenceCapacity } from '../../src/simulator/workload.ts';
import { median } from '../measure.ts';
import type { BenchReport, BenchRow } from '../report.ts';
import { type Played, play } from '../support/load.ts';
import type { MeasuredProcess } from '../support/measured-process.ts';
import { agentForTurns, type Contender, model, paceline, tunedBatcher } from './contender.ts';
import { atMost, inTurns, type PeersRun, rounds, shotOf } from './turns.ts';

const oneClass = [{ weight: 1, sloMs: 200, lane: 0 }];
const classes = [80, 200, 1000];
const mixed = classes.map((sloMs, i) => ({ weight: [3, 4, 3][i] as number, sloMs, lane: 0 }));
const burstSeconds = 20;
const busySeconds = 10;
/** So long a companion that starts anew may take to find out how much its model does at once. */
const foundWithinSeconds = 10;
const agentName = "KServe's agent, 32 and 10 ms";

/** What a schedule is good for, beside KServe's agent: deadlines that differ, bursts, a model of four slots, and busy time. */
export async function scheduling(run: PeersRun): Promise<BenchReport> {
  const rows: BenchRow[] = [];
  for (const part of [deadlines, bursts, fourSlots, busyTime]) rows.push(...(await part(run)));
  return {
    name: 'scheduling',
    title: 'Deadlines, bursts, parallel models and busy time',
    rows,
    notes: [
      `Poisson arrivals (on/off bursts: phases of 1 s in the mean, 3:1) of 1 KB at the reference model, 100 % = ${referenceCapacity.toFixed(0)} requests/s with one slot, ${parallelCapacity.toFixed(0)} with four. Each request names its objective in \`paceline-timeout-ms\`, of which KServe's agent knows nothing; in time is a right answer within it, from the intended send time. The same arrivals for both, medians of three rounds in turns.`,
      `Of the bursts each round has another seed (20 s), and the clairvoyant bound is that of earliest deadline first with dropping on the same arrivals and without any overhead. docs/benchmarks.md has all twenty seeds in virtual time. With four slots the first round of Paceline begins with a companion that starts anew and counts after ${foundWithinSeconds} s.`,
      'Busy time is what the model itself counts, with `--patience 1`.',
    ],
  };
}

/** Both ways, each in front of a model of its own, while `work` measures them. */
async function beside<T>(
  slots: string,
  flags: readonly string[],
  work: (ways: readonly Contender[], models: readonly MeasuredProcess[]) => Promise<T>,
): Promise<T> {
  const models = await Promise.all([0, 1].map(() => model('20', '1', '32', slots)));
  const [theirs, own] = models as [MeasuredProcess, MeasuredProcess];
  const ways = [agentForTurns(agentName, theirs.port, ...tunedBatcher), await paceline(own.port, ...flags)];
  try {
    return await work(ways, models);
  } finally {
    await Promise.all([...ways, ...models].map((each) => each.stop()));
  }
}

async function deadlines(run: PeersRun): Promise<BenchRow[]> {
  // The longest objective is the lane's own: a caller may only ask for less.
  return beside('1', ['--slo', '1000ms'], async (ways) => {
    const rows: BenchRow[] = [];
    await inTurns(ways, 'warming up', run, (way) => turn(way, poisson(1, 0, 3, 100, oneClass)), 1);
    for (const [percent, bar] of [
      [70, 98],
      [95, 90],
      [110, 85],
    ] as const) {
      const what = `80/200/1000 ms mixed 3:4:3 at ${percent} %`;
      const uncounted = percent > 100 ? 2 : 1;
      const rate = (referenceCapacity * percent) / 100;
      const results = await inTurns(ways, what, run, async (way, round) =>
        (await turn(way, poisson(percent + round, 0, run.seconds + uncounted, rate, mixed))).filter(
          ({ atMs }) => atMs >= uncounted * 1000,
        ),
      );
      for (const [i, way] of ways.entries()) {
        const own = results[i] as Played[][];
        rows.push(atLeastOfOurs(way, what, median(own.map((each) => share(each))), '%', bar));
        const shares = classes.map((ms) => median(own.map((each) => share(each.filter(({ sloMs }) => sloMs === ms)))));
        for (const [k, value] of shares.entries()) {
          // At an overload nobody may starve while others have nearly everything.
          const starves = percent > 100 && Math.max(...shares) > 95;
          rows.push(
            atLeastOfOurs(way, `the ${classes[k]} ms class at ${percent} %`, value, '%', starves ? 35 : undefined),
          );
        }
      }
    }
    return rows;
  });
}

async function bursts(run: PeersRun): Promise<BenchRow[]> {
  return beside('1', [], async (ways) => {
    const workloads = Array.from({ length: rounds }, (_, round) =>
      onOff(round + 1, 0, burstSeconds, referenceCapacity * 0.7, 3, 1000, oneClass),
    );
    await inTurns(ways, 'warming up', run, (way) => turn(way, poisson(1, 0, 3, 100, oneClass)), 1);
    const results = await inTurns(ways, 'bursts 3:1 around 70 %', run, async (way, round) => {
      const workload = workloads[round] as (typeof workloads)[number];
      return share(await turn(way, workload)) / clairvoyantGoodput(workload, 32, referenceMs);
    });
    return ways.map((way, i) =>
      atLeastOfOurs(
        way,
        'bursts 3:1 around 70 %, of clairvoyant, the least of three seeds',
        Math.min(...(results[i] as number[])),
        '%',
        98.5,
      ),
    );
  });
}

async function fourSlots(run: PeersRun): Promise<BenchRow[]> {
  return beside('4', [], async (ways) => {
    const rows: BenchRow[] = [];
    for (const percent of [25, 50, 95]) {
      const what = `a model of four slots at ${percent} % of ${parallelCapacity.toFixed(0)}/s`;
      const rate = (parallelCapacity * percent) / 100;
      const results = await inTurns(ways, what, run, async (way, round) => {
        const uncounted = round === 0 ? foundWithinSeconds : 1;
        const played = await turn(way, poisson(percent + round, 0, run.seconds + uncounted, rate, oneClass));
        return played.filter(({ atMs }) => atMs >= uncounted * 1000);
      });
      for (const [i, way] of ways.entries()) {
        const own = results[i] as Played[][];
        if (percent < 95) rows.push(atLeastOfOurs(way, what, median(own.map((each) => share(each))), '%', 99.95));
        const perSecond = median(own.map((each) => each.filter(({ inTime }) => inTime).length / run.seconds));
        if (percent === 95) rows.push(atLeastOfOurs(way, `${what}: in time`, perSecond, 'requests/s', 2200));
      }
    }
    return rows;
  });
}

async function busyTime(run: PeersRun): Promise<BenchRow[]> {
  return beside('1', ['--patience', '1'], async (ways, models) => {
    const rows: BenchRow[] = [];
    await inTurns(ways, 'warming up', run, (way) => turn(way, poisson(1, 0, 5, 100, oneClass)), 1);
    for (const [percent, bar] of [
      [5, 5],
      [30, 1.9],
    ] as const) {
      const rate = (referenceCapacity * percent) / 100;
      const results = await inTurns(ways, `busy time at ${percent} %`, run, async (way, round) => {
        const port = (models[ways.indexOf(way)] as MeasuredProcess).port;
        const before = await busyMs(port);
        const played = await turn(way, poisson(percent + round, 0, busySeconds, rate, oneClass));
        return { busy: ((await busyMs(port)) - before) / played.length, share: share(played) };
      });
      for (const [i, way] of ways.entries()) {
        const own = results[i] as { busy: number; share: number }[];
        const name = `model-busy time a request at ${percent} %: ${way.name}`;
        const value = median(own.map(({ busy }) => busy));
        rows.push(i === 0 ? { name, value, unit: 'ms' } : atMost(name, value, 'ms', bar));
        rows.push(atLeastOfOurs(way, `its goodput at ${percent} %`, median(own.map((each) => each.share)), '%', 99.9));
      }
    }
    return rows;
  });
}

function turn(way: Contender, workload: Parameters<typeof play>[2]): Promise<Played[]> {
  return play(way.port, shotOf(way, 1000), workload);
}

async function busyMs(port: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/stats`);
  return ((await answer.json()) as { busyMs: number }).busyMs;
}

/** Percent of these that were in time. */
function share(played: readonly Played[]): number {
  return (100 * played.filter(({ inTime }) => inTime).length) / Math.max(1, played.length);
}

/** A row; what must hold is asked of ours alone. */
function atLeastOfOurs(way: Contender, what: string, value: number, unit: string, bar: number | undefined): BenchRow {
  const row = { name: `${what}: ${way.name}`, value, unit };
  if (way.name === agentName || bar === undefined) return row;
  return { ...row, bar: `>= ${bar}`, holds: value >= bar };
}
