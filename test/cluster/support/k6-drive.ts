import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findK6 } from '../../../loadtests/k6-binary.ts';
import type { ScenarioName } from '../../../loadtests/plan.ts';
import type { Report } from '../../../loadtests/report/report.ts';
import { gatewayPort, nodeAddress, paths, projectRoot } from '../settings.ts';

/** Why nothing can be driven here; undefined where k6 is there. */
export function whyNoK6(): Promise<string | undefined> {
  return findK6().then(
    () => undefined,
    (error: Error) => error.message,
  );
}

/** k6's own status where a bar is missed. */
const missed = 99;

export interface Driven {
  readonly scenario: ScenarioName;
  readonly duration: string;
  /** Requests a second before any step. */
  readonly rate: number;
  readonly host: string;
  readonly namespace: string;
  readonly service: string;
  /** Where the report goes. */
  readonly out: string;
  /** Whether k6's bars must hold: how fast replicas start on two cores that others use says nothing of us. */
  readonly bars: boolean;
  /** Further options of the command, without their dashes. */
  readonly more?: Readonly<Record<string, string>>;
}

/**
 * Drives a service of the cluster by `npm run loadtest`, as a user would, in a process beside this one.
 *
 * @throws Error with the output when it failed, or when bars are missed that must hold.
 */
export async function driveK6({ scenario, duration, rate, host, namespace, service, out, bars, more }: Driven) {
  const folder = join(out, scenario);
  const words = Object.entries({
    target: `http://${nodeAddress}:${gatewayPort}`,
    host,
    path: `/v1/models/${service}:predict`,
    rate: `${rate}`,
    duration,
    kubeconfig: paths.kubeconfig,
    namespace,
    service,
    out: folder,
    ...more,
  }).flatMap(([option, value]) => [`--${option}`, value]);
  const child = spawn(process.execPath, ['--import', 'tsx', 'loadtests/run.ts', scenario, ...words], {
    cwd: projectRoot,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk));
  const status = await new Promise((resolve) => child.on('close', resolve));
  if (status !== 0 && (status !== missed || bars)) throw new Error(`k6 ended with ${status}: ${output}`);
  return JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8')) as Report;
}

/** What a report comes to, one part for each side. */
export function shownReport({ sides }: Report): string {
  return sides
    .map(({ name, whole }) => `${name}: ${whole.good} of ${whole.requests} in time, ${whole.failed} failed`)
    .join('; ');
}
