import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Plan } from './plan.ts';
import { Series } from './series.ts';

/** What k6 ends with when a threshold did not hold. */
export const thresholdsMissed = 99;

/** A finished run: the series, k6's own summary, and what it ended with (0, or 99 when a threshold did not hold). */
export interface Run {
  readonly series: Series;
  readonly summary: { readonly metrics: Record<string, { thresholds?: Record<string, { ok: boolean }> }> };
  readonly exitCode: number;
}

/** A script with all it shares in one file: k6 resolves nothing by itself. */
export async function bundleScript(plan: Plan, folder: string): Promise<string> {
  const outfile = join(folder, `${plan.scenario}.js`);
  await build({
    entryPoints: [fileURLToPath(new URL(`scripts/${plan.scenario}.ts`, import.meta.url))],
    bundle: true,
    format: 'esm',
    target: 'es2023',
    external: ['k6', 'k6/*'],
    outfile,
    logLevel: 'error',
  });
  return outfile;
}

/**
 * Runs k6 and reads its samples as they come, so that nothing large is kept.
 *
 * @param onProgress called with the series each second
 * @throws when k6 could not run the script, with what it said
 */
export async function runK6(
  k6: string,
  plan: Plan,
  onProgress: (series: Series) => void,
  signal?: AbortSignal,
): Promise<Run> {
  const scratch = await mkdtemp(join(tmpdir(), 'paceline-load-'));
  const summaryFile = join(scratch, 'summary.json');
  const series = new Series(plan.sides.map(({ name }) => name));
  try {
    const script = await bundleScript(plan, scratch);
    const child = spawn(k6, ['run', '--quiet', '--no-color', '--no-usage-report', '--out', 'json=-', script], {
      env: { ...process.env, PLAN: JSON.stringify(plan), SUMMARY: summaryFile },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(signal === undefined ? {} : { signal, killSignal: 'SIGINT' as const }),
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk).slice(-8000);
    });
    const timer = setInterval(() => onProgress(series), 1000);
    const ended = new Promise<number>((resolve, reject) => {
      child.on('error', (error) => (signal?.aborted ? resolve(105) : reject(error)));
      child.on('close', (code) => resolve(code ?? 105));
    });
    for await (const line of createInterface({ input: child.stdout })) readSample(line, series);
    const exitCode = await ended.finally(() => clearInterval(timer));
    if (exitCode !== 0 && exitCode !== thresholdsMissed) {
      throw new Error(`k6 ended with ${exitCode}:\n${said.trim() || 'it said nothing'}`);
    }
    return { series, summary: JSON.parse(await readFile(summaryFile, 'utf8')) as Run['summary'], exitCode };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const samples = ['started_at', 'answer_time', 'dropped_iterations'].map(
  (metric) => `{"metric":"${metric}","type":"Point"`,
);

/** One line of `--out json`; lines about other metrics cost no parsing. */
function readSample(line: string, series: Series): void {
  const kind = samples.findIndex((start) => line.startsWith(start));
  if (kind < 0) return;
  const { data } = JSON.parse(line) as {
    data: { time: string; value: number; tags: { side?: string; outcome?: string; scenario?: string } };
  };
  const { side = '', outcome = '', scenario = '' } = data.tags;
  const atMs = Date.parse(data.time);
  if (kind === 0) series.begin(data.value);
  else if (kind === 1) series.add({ side, outcome, ms: data.value, sentMs: atMs - data.value });
  else series.unsent(scenario, atMs, data.value);
}
