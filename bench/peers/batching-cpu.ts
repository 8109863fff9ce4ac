import { median } from '../measure.ts';
import type { BenchReport, BenchRow } from '../report.ts';
import { load } from '../support/load.ts';
import { agent, type Contender, model, paceline, queueProxy, tunedBatcher } from './contender.ts';
import { atMost, cpuARequest, inTurns, type PeersRun, ratioOf, saturated, shotOf } from './turns.ts';

/** What a request of so many kilobytes may cost, in shares of what it costs KServe's agent. */
const bars: readonly (readonly [number, number])[] = [
  [1, 0.5],
  [20, 0.33],
  [190, 0.15],
];

/** CPU of the batching proxy itself, beside KServe's agent and Knative's queue-proxy. */
export async function batchingCpu(run: PeersRun): Promise<BenchReport> {
  return {
    name: 'cpu',
    title: 'CPU of batching',
    rows: [...(await atSteadyLoad(run)), ...(await asFastAsItGoes(run))],
    notes: [
      'CPU of the proxy alone, all threads, a request. At 400 requests/s both batch for the reference model (20 ms + 1 ms an item), the agent with at most 32 and 10 ms. At that rate most of the time of any of them goes into waking up.',
      'Saturated: Paceline batches for a model that takes 1 ms whatever it is given, from 256 connections; queue-proxy forwards each request to a model that answers at once, from 64.',
    ],
  };
}

async function atSteadyLoad(run: PeersRun): Promise<BenchRow[]> {
  const upstream = await model('20', '1', '32');
  const ways = [
    await agent("KServe's agent with batcher", upstream.port, ...tunedBatcher),
    await paceline(upstream.port),
  ];
  for (const way of ways) await way.end();
  try {
    const rows: BenchRow[] = [];
    for (const [kilobytes, bar] of bars) {
      const bytes = kilobytes * 1000;
      const what = `CPU at 400/s, ${kilobytes} KB`;
      const at = async (way: Contender, seconds: number, seed: number) =>
        (await load(way.port, 400, seconds, { ...shotOf(way, bytes), seed })).sent;
      // V8 goes on compiling for half a minute.
      await inTurns(ways, `${what}, warming up`, run, (way) => at(way, kilobytes === 1 ? 30 : 4, 1), 1);
      const [theirs = [], ours = []] = await inTurns(ways, what, run, (way, round) =>
        cpuARequest(way.pids, () => at(way, run.seconds, round)),
      );
      rows.push(
        { name: `${what}: KServe's agent with batcher`, value: median(theirs), unit: 'us' },
        { name: `${what}: Paceline`, value: median(ours), unit: 'us' },
        atMost(`${what}: Paceline against the agent`, ratioOf(ours, theirs), 'x', bar),
      );
    }
    return rows;
  } finally {
    await Promise.all([...ways, upstream].map((each) => each.stop()));
  }
}

async function asFastAsItGoes(run: PeersRun): Promise<BenchRow[]> {
  const oneMs = await model('1', '0', '64');
  const instant = await model('0', '0', '64');
  const ways = [await queueProxy(instant.port), await paceline(oneMs.port, '--slo', '1s', '--max-batch-size', '32')];
  for (const way of ways) await way.end();
  const connections = (way: Contender) => (way.name === 'Paceline' ? 256 : 64);
  try {
    await inTurns(ways, 'CPU saturated, warming up', run, (way) => saturated(way, connections(way), 5, 1000), 1);
    const [theirs = [], ours = []] = await inTurns(ways, 'CPU saturated, 1 KB', run, (way) =>
      cpuARequest(way.pids, () => saturated(way, connections(way), run.seconds, 1000)),
    );
    return [
      { name: "CPU saturated, 1 KB: Knative's queue-proxy alone", value: median(theirs), unit: 'us' },
      { name: 'CPU saturated, 1 KB, batches of 32: Paceline', value: median(ours), unit: 'us' },
      atMost('CPU saturated: Paceline against queue-proxy', ratioOf(ours, theirs), 'x', 0.5),
    ];
  } finally {
    await Promise.all([...ways, oneMs, instant].map((each) => each.stop()));
  }
}
