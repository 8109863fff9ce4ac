// The companion over real sockets: goodput beside other ways to stand in front of the same model, CPU, latency, memory.

import { connect } from 'node:net';
import { median } from './measure.ts';
import type { BenchReport, BenchRow } from './report.ts';
import { bodyOf, load, predictPath, saturate, WarmCallers } from './support/load.ts';
import { MeasuredProcess, type Usage } from './support/measured-process.ts';

type Progress = (text: string) => void;

/**
 * A bare node:http and undici proxy took 76 to 88 us a request, saturated, on the machine where the anchors were
 * measured. What it takes here says how many times slower this machine is at such work.
 */
const bareProxyCpuUs = 82;

/** Figures of KServe's agent with its batcher and of Knative's queue-proxy, measured on a machine like ours. */
const agentCpuUs: Record<number, number> = { 1: 486, 20: 1510, 190: 9283 };
const agentShare: Record<number, number> = { 1: 0.5, 20: 0.33, 190: 0.15 };
const queueProxyCpuUs = 125;
const capacity = 32_000 / 52;
const rounds = 3;

/** Runs every row. Ratios are taken between processes that are measured in turns, in one run. */
export async function run(progress: Progress): Promise<BenchReport> {
  const rows: BenchRow[] = [];
  const bareUs = await bareProxy(progress);
  const slower = bareUs / bareProxyCpuUs;
  rows.push(
    { name: 'CPU a request of a bare node:http and undici proxy, saturated', value: bareUs, unit: 'us' },
    { name: "this machine against the anchors'", value: slower, unit: 'x slower' },
  );
  for (const part of [
    goodput,
    cpuAtLoad,
    cpuSaturated,
    passThrough,
    lowLoad,
    stalledUpload,
    eventLoop,
    startAndMemory,
  ]) {
    rows.push(...(await part(progress, slower)));
  }
  return {
    name: 'companion',
    title: 'The companion over real sockets',
    rows,
    notes: [
      `Reference model: serial, 20 ms + 1 ms an item asleep, 413 above 32 items; 100 % = ${capacity.toFixed(0)} requests/s. SLO 200 ms and nothing else. Open-loop Poisson arrivals, latency from the intended send time.`,
      "Anchors for CPU: KServe's agent with batcher 486 / 1,510 / 9,283 us a request at 1 / 20 / 190 KB, queue-proxy 98 to 125 us. They were measured on another machine, where a bare node:http and undici proxy, saturated, took 76 to 88 us; bars of saturated processes are scaled by what that proxy takes in this run. At 400/s most of the time goes into waking up, which no proxy here says the scale of: those bars are as given.",
      'CPU of a process is what the system accounts to it, all threads, after a warm-up of several thousand requests.',
    ],
  };
}

/** CPU a request of a proxy that only forwards, as fast as it goes. */
async function bareProxy(progress: Progress): Promise<number> {
  progress('a bare proxy, saturated');
  const instant = await MeasuredProcess.module('reference-model.ts', ['0', '0', '64']);
  const bare = await front('one by one', instant.port);
  const body = bodyOf(1000);
  await saturate(bare.port, 64, 5, body);
  const values: number[] = [];
  for (let round = 0; round < rounds; round++) {
    values.push(await cpuOf(bare, () => saturate(bare.port, 64, 3, body)));
  }
  await Promise.all([bare.stop(), instant.stop()]);
  return median(values);
}

/** Goodput at loads of the reference model: one by one, by a fixed timer, and by Paceline. */
async function goodput(progress: Progress): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  const bars: Record<number, number> = {
    5: 99.5,
    30: 99.5,
    70: 99.5,
    95: 99.5,
    110: (97 * 100) / 110,
    150: (97 * 100) / 150,
  };
  for (const percent of [5, 30, 70, 95, 110, 150]) {
    for (const way of ['one by one', 'fixed timer', 'Paceline'] as const) {
      progress(`goodput at ${percent} %, ${way}`);
      const model = await MeasuredProcess.module('reference-model.ts', ['20', '1', '32']);
      const proxy = await front(way, model.port);
      await load(proxy.port, capacity * 0.05, 6, { seed: 1 });
      const before = await statsOf(model.port);
      const result = await load(proxy.port, (capacity * percent) / 100, percent < 30 ? 20 : 12, { seed: percent });
      const after = await statsOf(model.port);
      const busyMs = after.busyMs - before.busyMs;
      await Promise.all([proxy.stop(), model.stop()]);
      const name = `goodput at ${percent} %, ${way}`;
      const value = 100 * result.goodput;
      const bar = bars[percent] as number;
      rows.push(
        way === 'Paceline'
          ? { name, value, unit: '%', bar: `>= ${bar.toFixed(1)}`, holds: value >= bar }
          : { name, value, unit: '%' },
        { name: `P50 / P99 at ${percent} %, ${way}`, value: result.p50, unit: `ms / ${result.p99.toFixed(0)} ms` },
        {
          name: `model-busy time a good answer at ${percent} %, ${way}`,
          value: busyMs / Math.max(1, result.goodput * result.sent),
          unit: 'ms',
        },
      );
    }
  }
  return rows;
}

/** CPU a request of the batching companion at 400/s, beside a fixed-timer batcher with the same splicing. */
async function cpuAtLoad(progress: Progress): Promise<BenchRow[]> {
  const model = await MeasuredProcess.module('reference-model.ts', ['20', '1', '32']);
  const companion = await front('Paceline', model.port);
  const timer = await front('fixed timer', model.port);
  const rows: BenchRow[] = [];
  for (const [index, kilobytes] of [1, 20, 190].entries()) {
    const body = bodyOf(kilobytes * 1000);
    for (const process of [companion, timer]) {
      progress(`CPU at 400/s, ${kilobytes} KB: warming up`);
      // V8 goes on compiling for as long as this: in the first ten seconds it costs as much as the requests.
      await load(process.port, 400, index === 0 ? 40 : 4, { body });
    }
    const ours: number[] = [];
    const others: number[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const [process, into] of [
        [companion, ours],
        [timer, others],
      ] as const) {
        progress(`CPU at 400/s, ${kilobytes} KB: round ${round + 1} of ${rounds}`);
        into.push(await cpuOf(process, async () => (await load(process.port, 400, 5, { body, seed: round })).sent));
      }
    }
    const bar = (agentShare[kilobytes] as number) * (agentCpuUs[kilobytes] as number);
    const value = median(ours);
    rows.push(
      {
        name: `CPU a request at 400/s, ${kilobytes} KB`,
        value,
        unit: 'us',
        bar: `<= ${bar.toFixed(0)}`,
        holds: value <= bar,
      },
      { name: `the same, fixed-timer batcher`, value: median(others), unit: 'us' },
    );
  }
  await Promise.all([companion.stop(), timer.stop(), model.stop()]);
  return rows;
}

/** CPU a request with batches of 32 as fast as they go. */
async function cpuSaturated(progress: Progress, slower: number): Promise<BenchRow[]> {
  const model = await MeasuredProcess.module('reference-model.ts', ['1', '0', '64']);
  const companion = await MeasuredProcess.paceline(companionArgs(model.port, '--slo', '1s', '--max-batch-size', '32'));
  const ours: number[] = [];
  const body = bodyOf(1000);
  await saturate(companion.port, 256, 5, body);
  const before = await statsOf(model.port);
  let requests = 0;
  for (let round = 0; round < rounds; round++) {
    progress(`CPU saturated: round ${round + 1} of ${rounds}`);
    ours.push(
      await cpuOf(companion, async () => {
        const answered = await saturate(companion.port, 256, 4, body);
        requests += answered;
        return answered;
      }),
    );
  }
  const after = await statsOf(model.port);
  const usage = await companion.usage();
  await Promise.all([companion.stop(), model.stop()]);
  const value = median(ours);
  return [
    {
      name: 'CPU a request saturated, 1 KB',
      value,
      unit: 'us',
      ...scaledBar(value, 0.5 * queueProxyCpuUs, slower),
    },
    { name: 'mean batch meanwhile', value: requests / Math.max(1, after.calls - before.calls), unit: 'items' },
    memoryRow('memory after it, 256 requests in flight', usage, 256),
  ];
}

/** Requests that are not batched: CPU and added latency, beside a bare proxy. */
async function passThrough(progress: Progress, slower: number): Promise<BenchRow[]> {
  const model = await MeasuredProcess.module('reference-model.ts', ['0', '0', '64']);
  const companion = await front('Paceline', model.port);
  const bare = await front('one by one', model.port);
  const options = { body: bodyOf(1000), path: '/v1/models/bench:explain' };
  for (const process of [companion, bare]) {
    progress('pass-through: warming up');
    await load(process.port, 1000, 6, options);
  }
  const cpu = { ours: [] as number[], bare: [] as number[] };
  const p50 = { ours: [] as number[], bare: [] as number[], direct: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    progress(`pass-through: round ${round + 1} of ${rounds}`);
    p50.direct.push((await load(model.port, 500, 2, options)).p50);
    for (const [process, name] of [
      [companion, 'ours'],
      [bare, 'bare'],
    ] as const) {
      cpu[name].push(
        await cpuOf(process, async () => {
          const result = await load(process.port, 500, 4, options);
          p50[name].push(result.p50);
          return result.sent;
        }),
      );
    }
  }
  await Promise.all([companion.stop(), bare.stop(), model.stop()]);
  const ratio = median(cpu.ours) / median(cpu.bare);
  const added = median(p50.ours) - median(p50.direct);
  return [
    {
      name: 'pass-through CPU a request',
      value: median(cpu.ours),
      unit: 'us',
      ...scaledBar(median(cpu.ours), queueProxyCpuUs, slower),
    },
    { name: 'the same, bare node:http and undici proxy', value: median(cpu.bare), unit: 'us' },
    { name: 'pass-through CPU against the bare proxy', value: ratio, unit: 'x', bar: '<= 1.3', holds: ratio <= 1.3 },
    { name: 'pass-through added P50', value: added, unit: 'ms', ...scaledBar(added, 0.4, slower) },
    { name: 'the same, bare proxy', value: median(p50.bare) - median(p50.direct), unit: 'ms' },
  ];
}

/** Five requests a second: waiting would buy nothing. */
async function lowLoad(progress: Progress): Promise<BenchRow[]> {
  progress('5 requests a second');
  const model = await MeasuredProcess.module('reference-model.ts', ['28', '0', '64']);
  const companion = await MeasuredProcess.paceline(companionArgs(model.port, '--slo', '500ms', '--patience', '0'));
  await load(companion.port, 5, 4, { sloMs: 500 });
  const direct = await percentile95(model.port);
  const ours = await percentile95(companion.port);
  await Promise.all([companion.stop(), model.stop()]);
  const ratio = ours / direct;
  return [
    { name: 'P95 at 5/s against the model alone', value: ratio, unit: 'x', bar: '<= 1.15', holds: ratio <= 1.15 },
    { name: 'P95 at 5/s', value: ours, unit: 'ms' },
  ];
}

async function percentile95(port: number): Promise<number> {
  return (await load(port, 5, 30, { sloMs: 500, seed: 5 })).p95;
}

/** 500 small requests while a large body has begun and does not go on, and without it, in turns. */
async function stalledUpload(progress: Progress): Promise<BenchRow[]> {
  const model = await MeasuredProcess.module('reference-model.ts', ['1', '0', '64']);
  const companion = await front('Paceline', model.port);
  await load(companion.port, 250, 4);
  const p99 = { behind: [] as number[], without: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    progress(`behind a stalled upload: round ${round + 1} of ${rounds}`);
    p99.without.push((await load(companion.port, 250, 2, { seed: round })).p99);
    const upload = connect(companion.port, '127.0.0.1');
    upload.on('error', () => {});
    upload.write(
      `POST ${predictPath} HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\ncontent-length: 4000000\r\n\r\n`,
    );
    upload.write(`{"instances":[[${'1,'.repeat(1_000_000)}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
    p99.behind.push((await load(companion.port, 250, 2, { seed: round })).p99);
    upload.destroy();
  }
  await Promise.all([companion.stop(), model.stop()]);
  const ratio = median(p99.behind) / median(p99.without);
  return [
    {
      name: 'P99 of 500 small requests behind a stalled 4 MB upload against without it',
      value: ratio,
      unit: 'x',
      bar: '<= 1.2',
      holds: ratio <= 1.2,
    },
    { name: 'P99 without it', value: median(p99.without), unit: 'ms' },
  ];
}

/** How late the event loop is at 110 % load with scrapes, while masses expire, and while it drains. */
async function eventLoop(progress: Progress): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  const model = await MeasuredProcess.module('reference-model.ts', ['20', '1', '32']);
  const companion = await MeasuredProcess.paceline(companionArgs(model.port));
  await load(companion.port, capacity, 8);
  progress('event loop at 110 % load, with scrapes');
  companion.resetDelay();
  const scrapes: number[] = [];
  const scraper = setInterval(async () => {
    const started = performance.now();
    await (await fetch(`http://127.0.0.1:${companion.adminPort}/metrics`)).text();
    scrapes.push(performance.now() - started);
  }, 500);
  await load(companion.port, capacity * 1.1, 10);
  clearInterval(scraper);
  rows.push(...delayRows('at 110 % load with scrapes', await companion.usage(), 'P99.9'));
  await Promise.all([companion.stop(), model.stop()]);

  progress('event loop while a thousand requests arrive at a hung model, and are refused or expire');
  const hanging = await MeasuredProcess.module('reference-model.ts', ['1', '0', '64']);
  const waiting = await MeasuredProcess.paceline(companionArgs(hanging.port, '--late-timeout', '3s'));
  await load(waiting.port, 300, 3);
  // Late work may fill a quarter of the bound (500), and the overflow is refused at once with 503: both masses are
  // inside the window.
  const callers = await WarmCallers.open(waiting.port, 1000);
  hanging.signal('SIGSTOP');
  waiting.resetDelay();
  const ended = await callers.burst(500);
  await callers.close();
  rows.push(
    ...delayRows('while a thousand are refused or expire', await waiting.usage(), 'max'),
    { name: 'of a thousand at a hung model, refused at once', value: ended.get(503) ?? 0, unit: 'requests' },
    { name: 'of a thousand at a hung model, expired', value: ended.get(504) ?? 0, unit: 'requests' },
  );
  hanging.signal('SIGCONT');
  progress('event loop while it drains');
  await load(waiting.port, 300, 2);
  hanging.signal('SIGSTOP');
  const draining = load(waiting.port, 1000, 0.5, { timeoutMs: 10_000 });
  await new Promise((resolve) => setTimeout(resolve, 700));
  waiting.resetDelay();
  waiting.signal('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 300));
  const usage = await waiting.usage();
  hanging.signal('SIGCONT');
  await draining;
  rows.push(...delayRows('while it drains with 500 waiting', usage, 'max'));
  await Promise.all([waiting.stop(), hanging.stop()]);
  rows.push({ name: 'a scrape, round trip, at 110 % load', value: median(scrapes), unit: 'ms' });
  return rows;
}

/** In a window of a few seconds one stall is rarer than one turn in a thousand: there the longest is judged. */
function delayRows(when: string, usage: Usage, judged: 'P99.9' | 'max'): BenchRow[] {
  const values = { 'P99.9': usage.delayP999Ms, max: usage.delayMaxMs };
  return (['P99.9', 'max'] as const).map((which) => {
    const value = values[which];
    const row = { name: `event loop delay ${which} ${when}`, value, unit: 'ms' };
    return which === judged ? { ...row, bar: '<= 10', holds: value <= 10 } : row;
  });
}

/** From spawning to listening on one core, idle CPU, and memory over many requests. */
async function startAndMemory(progress: Progress): Promise<BenchRow[]> {
  const starts: number[] = [];
  const model = await MeasuredProcess.module('reference-model.ts', ['1', '0', '64']);
  for (let i = 0; i < 5; i++) {
    progress(`start ${i + 1} of 5`);
    const one = await MeasuredProcess.paceline(companionArgs(model.port), { prefix: ['taskset', '-c', '0'] });
    starts.push(one.startMs);
    await one.stop();
  }
  const companion = await MeasuredProcess.paceline(companionArgs(model.port, '--slo', '1s', '--max-batch-size', '32'));
  await saturate(companion.port, 64, 1, bodyOf(1000));
  await new Promise((resolve) => setTimeout(resolve, 3000));
  progress('idle for ten seconds');
  const idleFrom = await companion.usage();
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  const idle = ((await companion.usage()).cpuUs - idleFrom.cpuUs) / 10e6;
  const memory: Usage[] = [];
  let sent = 0;
  while (sent < 1e6) {
    progress(`memory: ${(sent / 1000).toFixed(0)} of 1,000 thousand requests`);
    sent += await saturate(companion.port, 64, 5, bodyOf(200));
    memory.push(await companion.usage());
  }
  const early = memory[Math.floor(memory.length / 4)] as Usage;
  const late = memory[memory.length - 1] as Usage;
  await Promise.all([companion.stop(), model.stop()]);
  const growth = late.rssBytes / early.rssBytes;
  return [
    { name: 'listens after, one core', value: median(starts), unit: 'ms', bar: '<= 400', holds: median(starts) <= 400 },
    { name: 'idle CPU', value: 100 * idle, unit: '% of a core', bar: '< 0.2', holds: idle < 0.002 },
    memoryRow('memory after 10^6 requests, 64 in flight', late, 64),
    {
      name: 'memory after 10^6 requests against after a quarter of them',
      value: growth,
      unit: 'x',
      bar: '<= 1.05',
      holds: growth <= 1.05,
    },
  ];
}

/** A bar that was measured on the anchors' machine, and what it comes to on this one. */
function scaledBar(value: number, bar: number, slower: number): { bar: string; holds: boolean } {
  const here = bar * slower;
  const digits = here < 10 ? 2 : 0;
  return { bar: `<= ${bar.toFixed(digits)} there, ${here.toFixed(digits)} here`, holds: value <= here };
}

function memoryRow(name: string, usage: Usage, waiting: number): BenchRow {
  const value = usage.rssBytes / 1e6;
  const bar = 120 + waiting * 0.017;
  return { name, value, unit: 'MB', bar: `<= ${bar.toFixed(0)}`, holds: value <= bar };
}

function front(way: 'one by one' | 'fixed timer' | 'Paceline', modelPort: number): Promise<MeasuredProcess> {
  if (way === 'Paceline') return MeasuredProcess.paceline(companionArgs(modelPort));
  const rule = way === 'one by one' ? 'none' : 'fixed-timer';
  return MeasuredProcess.paceline([
    'baseline',
    '--port',
    '0',
    '--rule',
    rule,
    '--upstream',
    `http://127.0.0.1:${modelPort}`,
  ]);
}

/** Later flags override earlier ones. */
function companionArgs(modelPort: number, ...more: string[]): string[] {
  const upstream = `http://127.0.0.1:${modelPort}`;
  return [
    'companion',
    '--port',
    '0',
    '--admin-port',
    '0',
    '--host',
    '127.0.0.1',
    '--slo',
    '200ms',
    '--upstream',
    upstream,
    ...more,
  ];
}

async function cpuOf(process: MeasuredProcess, work: () => Promise<number>): Promise<number> {
  const before = await process.usage();
  const requests = await work();
  return ((await process.usage()).cpuUs - before.cpuUs) / requests;
}

async function statsOf(port: number): Promise<{ calls: number; items: number; busyMs: number }> {
  return (await fetch(`http://127.0.0.1:${port}/stats`)).json() as Promise<{
    calls: number;
    items: number;
    busyMs: number;
  }>;
}
