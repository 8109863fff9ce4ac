import { join } from 'node:path';
import { readMetricsPage } from '../../support/metrics-page.ts';
import { projectRoot } from '../settings.ts';
import { answers, PeerProcess } from './process.ts';

/** The companion as it is shipped, in a process of its own. */
export interface Paceline {
  readonly port: number;
  readonly adminPort: number;
  readonly process: PeerProcess;
  /** The sum of a metric's series, 0 where there is none. */
  metric(name: string): Promise<number>;
  stop(): Promise<void>;
}

/**
 * `paceline companion` in front of a port. The objective is wide: these tests are of what is answered, and not of when, on
 * a machine that may have other things to do.
 */
export function startCompanion(upstream: number, ...flags: string[]): Promise<Paceline> {
  return startPaceline([
    'companion',
    ...['--port', '0', '--admin-port', '0', '--host', '127.0.0.1', '--slo', '10s', '--drain-quiet', '0s'],
    ...['--upstream', `http://127.0.0.1:${upstream}`, '--patience', '0', '--grpc-message-max', '8MiB'],
    ...flags,
  ]);
}

/** `paceline ARGUMENTS`, which must be a companion; waits until its model is ready. */
export async function startPaceline(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Paceline> {
  const process_ = await PeerProcess.start([process.execPath, join(projectRoot, 'dist/paceline.mjs'), ...args], {
    env,
    isUp: async (output) => {
      const { adminPort } = portsIn(output);
      return adminPort !== 0 && (await answers(`http://127.0.0.1:${adminPort}/readyz`));
    },
  });
  const { port, adminPort } = portsIn(process_.output);
  return {
    port,
    adminPort,
    process: process_,
    metric: async (name) => {
      const page = readMetricsPage(await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text(), false);
      const series = [...page.values()].flatMap(({ samples }) => [...samples]);
      return series.reduce((sum, [key, value]) => (key.split('{', 1)[0] === name ? sum + value : sum), 0);
    },
    stop: () => process_.stop(),
  };
}

function portsIn(output: string): { port: number; adminPort: number } {
  const read = (name: string) => Number(new RegExp(`"${name}":(\\d+)`).exec(output)?.[1] ?? 0);
  return { port: read('port'), adminPort: read('adminPort') };
}
