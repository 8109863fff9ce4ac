import { median } from '../measure.ts';
import type { BenchReport, BenchRow } from '../report.ts';
import { load } from '../support/load.ts';
import { agentForTurns, bentoml, type Contender, mlserver, model, paceline, tunedBatcher } from './contender.ts';
import { inTurns, type PeersRun, shotOf } from './turns.ts';

/** Items a second of the reference model at batches of 32, the largest that it takes. */
const capacity = 32_000 / 52;
const sloMs = 200;

/** Goodput at loads of the reference model, of callers who wait and of callers who give up at the SLO. */
export async function goodput(run: PeersRun): Promise<BenchReport> {
  const models = await Promise.all([0, 1, 2].map(() => model('20', '1', '32')));
  const [forDefault, forTuned, forPaceline] = models.map(({ port }) => port) as [number, number, number];
  const ways = [
    agentForTurns("KServe's agent, defaults", forDefault, '--enable-batcher'),
    agentForTurns("KServe's agent, 32 and 10 ms", forTuned, ...tunedBatcher),
    await mlserver(),
    await bentoml(),
    await paceline(forPaceline),
  ];
  for (const way of ways) await way.end();
  try {
    const rows: BenchRow[] = [];
    // What comes first to a fresh process is no figure of it.
    await inTurns(ways, 'warming up', run, (way) => turn(way, 100, 3, 0, false), 1);
    for (const percent of [5, 30, 70, 95]) rows.push(...(await rowsAt(ways, percent, run, false)));
    for (const percent of [110, 150]) rows.push(...(await rowsAt(ways, percent, run, false)));
    for (const percent of [110, 150]) rows.push(...(await rowsAt(ways, percent, run, true)));
    return {
      name: 'goodput',
      title: 'Goodput',
      rows,
      notes: [
        `Reference model: serial, 20 ms + 1 ms an item asleep, at most 32 items; 100 % = ${capacity.toFixed(0)} requests/s. Open-loop Poisson arrivals of 1 KB, latency from the intended send time, SLO ${sloMs} ms: a right answer within it counts. Above 100 % the bound is 100 / load.`,
        "KServe's agent and Paceline stand in front of one process each of the same model over V1; MLServer and BentoML run it inside (a thread that sleeps), MLServer with batches of 32 and 60 ms over V2, BentoML with batches of 32 and 200 ms. MLServer starts a batch while others run: with less than 20 ms + 1 ms for each request that comes meanwhile it falls behind at any load (at 10 ms it keeps 0 % from 30 % load on). What these two take of the CPU for Python is theirs.",
        'Medians of three rounds in turns; above 100 % the first two seconds of a turn are not counted, because any queue takes some time to fill. Below, the first is not.',
      ],
    };
  } finally {
    await Promise.all([...ways, ...models].map((each) => each.stop()));
  }
}

function turn(way: Contender, rate: number, seconds: number, uncountedSeconds: number, givesUp: boolean, seed = 1) {
  const timeoutMs = givesUp ? sloMs : 5500;
  return load(way.port, rate, seconds, { ...shotOf(way, 1000), seed, sloMs, timeoutMs, uncountedSeconds });
}

async function rowsAt(
  ways: readonly Contender[],
  percent: number,
  run: PeersRun,
  givesUp: boolean,
): Promise<BenchRow[]> {
  const uncounted = percent > 100 ? 2 : 1;
  const callers = givesUp ? ', callers give up at the SLO' : '';
  const results = await inTurns(ways, `goodput at ${percent} %${callers}`, run, (way, round) =>
    turn(way, (capacity * percent) / 100, run.seconds + uncounted, uncounted, givesUp, 100 * percent + round),
  );
  return ways.map((way, i) => {
    const own = results[i] ?? [];
    const value = median(own.map((result) => 100 * result.goodput));
    const p99 = median(own.map((result) => result.p99));
    const name = `goodput at ${percent} %${callers}: ${way.name}`;
    const unit = `%, P99 ${Number.isFinite(p99) ? p99.toFixed(0) : '-'} ms`;
    if (way.name !== 'Paceline') return { name, value, unit };
    const bar = percent < 100 ? 99.5 : ((givesUp ? 94 : 97) * 100) / percent;
    return { name, value, unit, bar: `>= ${bar.toFixed(1)}`, holds: value >= bar };
  });
}
