// Drives a served model with k6.
//
//   npm run loadtest -- SCENARIO --target URL [options]     --help lists them
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { buildK6, findK6 } from './k6-binary.ts';
import { type Run, runK6 } from './k6-run.ts';
import { optionsOf, type Plan, phaseAt } from './plan.ts';
import { ReplicaWatch } from './replicas.ts';
import { htmlReport } from './report/html.ts';
import { makeReport } from './report/report.ts';
import { textReport } from './report/text.ts';
import type { Series } from './series.ts';
import { type Asked, type LoadSettings, readArguments } from './settings.ts';

try {
  const write = (text: string) => process.stderr.write(text);
  process.exitCode = await perform(readArguments(process.argv.slice(2), new Date(), write));
} catch (error) {
  // It has said what is wrong.
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  console.error(`error: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

async function perform(asked: Asked): Promise<number> {
  if (asked.do === 'build-k6') {
    console.log(await buildK6());
    return 0;
  }
  if (asked.do === 'dry-run') {
    printPlan(asked.settings);
    return 0;
  }
  const { settings } = asked;
  const k6 = await findK6(settings.k6);
  await probe(settings.plan);
  const watches = await watchReplicas(settings);
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  let run: Run;
  try {
    run = await runK6(k6, settings.plan, (series) => showProgress(settings.plan, series, watches), stop.signal);
  } finally {
    for (const [side, watch] of watches) {
      const { failure } = watch.stop();
      if (failure) console.error(`replicas of ${side} could not always be counted: ${failure}`);
    }
  }
  const report = makeReport(settings, run, watches);
  mkdirSync(settings.out, { recursive: true });
  writeFileSync(join(settings.out, 'report.json'), `${JSON.stringify(report, null, 1)}\n`);
  writeFileSync(join(settings.out, 'report.html'), htmlReport(report));
  console.log(`\n${textReport(report)}\n\nreport: ${join(settings.out, 'report.html')} and report.json`);
  return run.exitCode;
}

/** One request to each side: a wrong address or path is better told before a long run than after it. */
async function probe({ sides, body, scenario, timeoutMs }: Plan): Promise<void> {
  // The first request of a service without pods is what that scenario is about.
  if (scenario === 'scale-from-zero') return;
  for (const { name, url, host } of sides) {
    const answer = await post(url, host, body, timeoutMs).catch((error: unknown) => {
      throw new Error(
        `${url} does not answer (${error instanceof Error ? error.message : error}): is --target right, and the service up?`,
      );
    });
    if (answer.status !== 200) {
      throw new Error(
        `${name} answers ${answer.status} to ${url}: ${answer.text.slice(0, 200)}\n--path, --host and --body say what is asked`,
      );
    }
  }
}

/** `fetch` does not let a caller set the Host header, which an ingress routes by. */
async function post(
  url: string,
  host: string | undefined,
  body: string,
  timeoutMs: number,
): Promise<{ status: number; text: string }> {
  const { request } = await import('undici');
  const headers = { 'content-type': 'application/json', ...(host === undefined ? {} : { host }) };
  const answer = await request(url, {
    method: 'POST',
    headers,
    body,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  });
  return { status: answer.statusCode, text: await answer.body.text() };
}

async function watchReplicas({ kubeconfig, watched }: LoadSettings): Promise<Map<string, ReplicaWatch>> {
  const watches = new Map<string, ReplicaWatch>();
  if (kubeconfig === undefined) return watches;
  // Most runs need no Kubernetes client, which takes longer to load than all the rest.
  const { KubeClient } = await import('../src/kube/kube-client.ts');
  const api = KubeClient.load(kubeconfig);
  for (const each of watched) {
    const watch = new ReplicaWatch(api, each);
    await watch.start().catch((error: unknown) => {
      throw new Error(`the pods of ${each.namespace}/${each.service} cannot be listed with ${kubeconfig}: ${error}`);
    });
    watches.set(each.side, watch);
  }
  return watches;
}

function showProgress(plan: Plan, series: Series, watches: ReadonlyMap<string, ReplicaWatch>): void {
  if (Number.isNaN(series.startMs)) return;
  const elapsed = (Date.now() - series.startMs) / 1000;
  const total = plan.phases.reduce((sum, { seconds }) => sum + seconds, 0);
  const texts = plan.sides.map(({ name }) => {
    const second = series.seconds(name)[Math.floor(elapsed) - 1];
    const pods = watches.get(name)?.last;
    const replicas = pods ? `, ${pods.ready}+${pods.starting} replicas` : '';
    return `${name} ${second ? `${second.good}/${second.sent + second.unsent} within SLO` : '...'}${replicas}`;
  });
  const text = `${Math.min(elapsed, total).toFixed(0).padStart(4)}/${total.toFixed(0)} s  ${phaseAt(plan.phases, elapsed).name.padEnd(9)} ${texts.join(' | ')}`;
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else if (Math.floor(elapsed) % 10 === 0) console.error(text);
}

function printPlan(settings: LoadSettings): void {
  const { plan } = settings;
  console.log(`${plan.scenario} within ${plan.sloMs} ms; reports to ${settings.out}`);
  for (const { name, url, host } of plan.sides)
    console.log(`  ${name}: POST ${url}${host === undefined ? '' : ` as ${host}`}`);
  for (const { name, rate, seconds, share } of plan.phases) {
    console.log(
      `  ${name.padEnd(10)} ${seconds.toFixed(0).padStart(4)} s at ${rate}/s${share === undefined ? '' : `, at least ${share * 100} % within SLO`}`,
    );
  }
  for (const { service, namespace, side } of settings.kubeconfig === undefined ? [] : settings.watched) {
    console.log(`  replicas of ${side}: ${namespace}/${service}`);
  }
  console.log(`k6 options:\n${JSON.stringify(optionsOf(plan), null, 2)}`);
}
