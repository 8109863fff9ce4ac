// A companion under load and faults for long, with everything on that tells of requests: its memory after a collection and
// what it has open must be the same at the end as after the first third, within 5 %. The last line is `N passed, N failed`.
//
//   npm run soak                         a minute
//   npm run soak -- --seconds 3600
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Random } from '../../src/simulator/random.ts';
import { SinkDouble } from '../support/event-sink.ts';
import { type Behaviour, ModelServer } from '../support/model-server.ts';
import { callFor } from './callers.ts';

const growthMax = 0.05;
/** One or two more are nothing: a timer, a connection that is kept. */
const handlesMore = 4;
const roundSeconds = 5;
const faultShare = 0.03;
const faults: Behaviour[] = [400, 413, 422, 429, 500, 503, 'few', 'many', 'not-json', 'reset', 'truncate', 'close'];

interface State {
  readonly heapUsed: number;
  readonly external: number;
  readonly rss: number;
  readonly handles: number;
  /** Descriptors of the process; 0 where the system does not show them. */
  readonly files: number;
}

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' } },
});
const seconds = Number(values.seconds);
if (!(seconds >= 20)) {
  console.error('give --seconds of at least 20');
  process.exit(2);
}
process.exitCode = (await soak()) ? 0 : 1;

async function soak(): Promise<boolean> {
  const random = new Random(Number(values.seed));
  const model = new ModelServer();
  model.keepCalls = false;
  model.timeMs = () => 2;
  model.behave = () =>
    random.uniform() < faultShare ? (faults[Math.floor(random.uniform() * faults.length)] as Behaviour) : 'ok';
  const sink = new SinkDouble();
  sink.answer = () => {
    sink.events.length = 0;
    return random.uniform() < 0.02 ? 503 : 200;
  };
  const folder = mkdtempSync(join(tmpdir(), 'paceline-soak-'));
  const upstream = `http://127.0.0.1:${await model.start()}`;
  const logTo = `http://127.0.0.1:${await sink.start()}/`;
  const { child, port } = await start(upstream, logTo, join(folder, 'r.plr'));
  try {
    const statuses = new Map<number, number>();
    const states: State[] = [];
    const until = performance.now() + seconds * 1000;
    for (let round = 0; performance.now() < until; round++) {
      await callFor(roundSeconds, round, port, random, statuses);
      model.closeConnections();
      // What was under way has ended, and what is written each second is written.
      await new Promise((resolve) => setTimeout(resolve, 1500));
      const state = await stateOf(child);
      states.push(state);
      const done = [...statuses.values()].reduce((sum, each) => sum + each, 0);
      const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
      console.log(
        `round ${round + 1}: ${done} requests, heap ${mb(state.heapUsed)}, external ${mb(state.external)}, RSS ${mb(state.rss)}, ${state.handles} handles, ${state.files} files`,
      );
    }
    console.log(`statuses: ${[...statuses].map(([status, count]) => `${count} x ${status || 'none'}`).join(', ')}`);
    return verdict(states);
  } finally {
    child.kill('SIGKILL');
    await model.stop();
    await sink.stop();
    rmSync(folder, { recursive: true });
  }
}

/** Compares the last rounds with those after the first third. */
function verdict(states: readonly State[]): boolean {
  const third = Math.max(1, Math.floor(states.length / 3));
  const middle = (part: readonly State[], read: (state: State) => number) =>
    part.map(read).sort((one, other) => one - other)[part.length >> 1] as number;
  const [early, late] = [states.slice(third, 2 * third), states.slice(-third)];
  let failed = 0;
  const check = (name: string, read: (state: State) => number, more: number) => {
    const [from, to] = [middle(early, read), middle(late, read)];
    const fits = to <= from * (1 + growthMax) + more;
    if (!fits) failed++;
    console.log(
      `${fits ? 'ok  ' : 'FAIL'} ${name}: ${from} -> ${to} (${((100 * (to - from)) / Math.max(1, from)).toFixed(1)} %)`,
    );
  };
  check('heap and external bytes after a collection', ({ heapUsed, external }) => heapUsed + external, 0);
  check('resident bytes', ({ rss }) => rss, 0);
  check('handles', ({ handles }) => handles, handlesMore);
  check('files', ({ files }) => files, handlesMore);
  console.log(`${4 - failed} passed, ${failed} failed`);
  return failed === 0;
}

async function start(upstream: string, logTo: string, record: string): Promise<{ child: ChildProcess; port: number }> {
  const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));
  const flags = ['--upstream', upstream, '--slo', '100ms', '--host', '127.0.0.1', '--port', '0', '--admin-port', '0'];
  // Collectors of spans that are not there are part of it.
  const told = ['--log-url', logTo, '--trace-endpoint', upstream, '--trace-share', '0.1', '--access-log', '0.01'];
  const recorded = ['--record', record, '--record-bytes', '2MB', '--request-log', 'true'];
  const child = spawn(
    process.execPath,
    [
      ...['--expose-gc', '--import', path('probe.mjs'), path('../../dist/paceline.mjs'), 'companion'],
      ...[...flags, ...told, ...recorded],
    ],
    { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] },
  );
  let said = '';
  await new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.stderr?.on('data', (chunk) => {
      if (!/the companion listens.*\n/.test(said)) said += chunk;
      if (/the companion listens.*\n/.test(said)) resolve();
    });
  });
  const port = Number(/"port":(\d+)/.exec(said)?.[1] ?? 0);
  if (port === 0) throw new Error(`the companion did not start:\n${said}`);
  child.stdout?.resume();
  return { child, port };
}

async function stateOf(child: ChildProcess): Promise<State> {
  const answer = new Promise<Omit<State, 'files'>>((resolve) =>
    child.once('message', (state) => resolve(state as State)),
  );
  child.send({ ask: 'state' });
  return { ...(await answer), files: filesOf(child.pid as number) };
}

function filesOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}
