import { median } from '../measure.ts';
import type { BenchReport } from '../report.ts';
import { bodyOf, predictPath } from '../support/load.ts';
import { agent, type Contender, paceline, smallModel, tunedBatcher } from './contender.ts';
import { atMost, cpuARequest, inTurns, type PeersRun, saturated } from './turns.ts';

const bytes = 5500;
const connections = 64;

/** KServe's own server with a real small model: what a request costs, proxy and model together. */
export async function realSmallModel(run: PeersRun): Promise<BenchReport> {
  const [row] = JSON.parse(bodyOf(bytes)).instances as [number[]];
  const server = await smallModel(row.length);
  const alone: Contender = {
    name: 'the model alone',
    path: predictPath,
    body: bodyOf,
    port: server.port,
    pids: [],
    begin: async () => {},
    end: async () => {},
    stop: async () => {},
  };
  const proxies = [
    await agent("KServe's agent with batcher", server.port, ...tunedBatcher),
    await paceline(server.port),
  ];
  // The model takes rows of one width only.
  const ways = [alone, ...proxies].map((way) => ({ ...way, body: () => bodyOf(bytes) }));
  for (const way of ways) await way.end();
  try {
    await inTurns(ways, 'real small model, warming up', run, (way) => saturated(way, connections, 6, bytes), 1);
    const results = await inTurns(ways, 'real small model', run, (way) =>
      cpuARequest([server.process.pid, ...way.pids], () => saturated(way, connections, run.seconds, bytes)),
    );
    const [aloneUs = 0, agentUs = 0, ourUs = 0] = results.map(median);
    return {
      name: 'small-model',
      title: 'A real small model',
      rows: [
        { name: 'CPU a request: the model alone', value: aloneUs, unit: 'us' },
        { name: "CPU a request, proxy and model: KServe's agent with batcher", value: agentUs, unit: 'us' },
        atMost('CPU a request, proxy and model: Paceline', ourUs, 'us', 420),
        { name: 'Paceline against the model alone', value: ourUs / aloneUs, unit: 'x' },
        { name: 'Paceline against the agent', value: ourUs / agentUs, unit: 'x' },
      ],
      notes: [
        `KServe's Python server, V1, rows of ${row.length} numbers (5.5 KB), two layers of 256 and 10 in numpy on one thread; ${connections} connections with a request on each. The bar comes from another machine, where the model alone took 561 us and with the agent 867.`,
      ],
    };
  } finally {
    await Promise.all(ways.map((way) => way.stop()));
    await server.process.stop();
  }
}
