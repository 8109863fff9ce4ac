import { median } from '../measure.ts';
import type { BenchReport } from '../report.ts';
import { load } from '../support/load.ts';
import { agent, bareProxy, type Contender, model, paceline, queueProxy } from './contender.ts';
import { atMost, cpuARequest, inTurns, type PeersRun, ratioOf } from './turns.ts';

const ratePerSecond = 500;

/** What is not batched: CPU a request and added latency. */
export async function passThrough(run: PeersRun): Promise<BenchReport> {
  const upstream = await model('0', '0', '64');
  const ways = [
    await queueProxy(upstream.port),
    await agent("KServe's agent without batcher", upstream.port),
    await bareProxy(upstream.port),
    await paceline(upstream.port),
  ];
  for (const way of ways) await way.end();
  const at = (port: number, body: string, seconds: number, seed: number) =>
    load(port, ratePerSecond, seconds, { path: '/v1/models/bench:explain', body, seed });
  try {
    // V8 goes on compiling for half a minute; Go does not.
    const warmUpSeconds = (way: Contender) => (way.name.includes("'s ") ? 3 : 25);
    await inTurns(
      ways,
      'pass-through, warming up',
      run,
      (way) => at(way.port, way.body(1000), warmUpSeconds(way), 1),
      1,
    );
    const direct: number[] = [];
    const results = await inTurns(ways, 'pass-through', run, async (way, round) => {
      if (way === ways[0]) direct.push((await at(upstream.port, way.body(1000), 2, round)).p50);
      let p50 = 0;
      const cpuUs = await cpuARequest(way.pids, async () => {
        const result = await at(way.port, way.body(1000), run.seconds, round);
        p50 = result.p50;
        return result.sent;
      });
      return { cpuUs, addedMs: p50 - (direct.at(-1) as number) };
    });
    const cpu = results.map((own) => own.map(({ cpuUs }) => cpuUs));
    const added = results.map((own) => median(own.map(({ addedMs }) => addedMs)));
    const [queueCpu = [], agentCpu = [], bareCpu = [], ourCpu = []] = cpu;
    const [queueAdded = 0, , , ourAdded = 0] = added;
    return {
      name: 'pass-through',
      title: 'Passing through',
      rows: [
        ...ways.map(({ name }, i) => ({ name: `CPU a request: ${name}`, value: median(cpu[i] ?? []), unit: 'us' })),
        atMost('CPU: Paceline against queue-proxy', ratioOf(ourCpu, queueCpu), 'x', 1),
        atMost('CPU: Paceline against the bare proxy', ratioOf(ourCpu, bareCpu), 'x', 1.3),
        { name: 'CPU: Paceline against the agent without batcher', value: ratioOf(ourCpu, agentCpu), unit: 'x' },
        ...ways.slice(0, -1).map(({ name }, i) => ({ name: `added P50: ${name}`, value: added[i] ?? 0, unit: 'ms' })),
        {
          name: 'added P50: Paceline',
          value: ourAdded,
          unit: 'ms',
          bar: `<= queue-proxy's ${queueAdded.toFixed(2)}`,
          holds: ourAdded <= queueAdded,
        },
      ],
      notes: [
        `1 KB at ${ratePerSecond} requests/s to a path that is not batched (\`:explain\`), in front of a model that answers at once. Added: beyond the P50 of the model itself in the same round.`,
      ],
    };
  } finally {
    await Promise.all([...ways, upstream].map((each) => each.stop()));
  }
}
