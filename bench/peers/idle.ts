import type { BenchReport } from '../report.ts';
import { load } from '../support/load.ts';
import { agent, type Contender, model, paceline, tunedBatcher } from './contender.ts';
import { cpuUsOf } from './cpu.ts';
import { type PeersRun, shotOf } from './turns.ts';

const idleMs = 10_000;

/** CPU of a proxy that nobody asks anything. */
export async function idle({ progress }: PeersRun): Promise<BenchReport> {
  const upstream = await model('1', '0', '64');
  const theirs = await agent("KServe's agent with batcher", upstream.port, ...tunedBatcher);
  const ours = await paceline(upstream.port);
  try {
    const share = async (way: Contender): Promise<number> => {
      progress(`idle: ${way.name}`);
      await way.begin();
      await load(way.port, 100, 2, shotOf(way, 1000));
      await new Promise((resolve) => setTimeout(resolve, 2000));
      const before = cpuUsOf(way.pids);
      await new Promise((resolve) => setTimeout(resolve, idleMs));
      const used = (cpuUsOf(way.pids) - before) / (idleMs * 1000);
      await way.end();
      return 100 * used;
    };
    const theirShare = await share(theirs);
    const ourShare = await share(ours);
    return {
      name: 'idle',
      title: 'Idle',
      rows: [
        { name: "idle CPU: KServe's agent with batcher", value: theirShare, unit: '% of a core' },
        { name: 'idle CPU: Paceline', value: ourShare, unit: '% of a core', bar: '< 0.2', holds: ourShare < 0.2 },
      ],
    };
  } finally {
    await Promise.all([theirs, ours, upstream].map((each) => each.stop()));
  }
}
