// A companion for long under all that chaos has (every protocol, faults of the model, callers that misbehave), with everything
// on that tells of requests: its memory after a collection and what it has open must be the same at the end as they were
// after the warm-up, within 5 %: the last third of the rounds after it is compared with the first. The last line is
// `N passed, N failed`.
//
//   npm run soak                                   a minute
//   npm run soak -- --seconds 3600 --seed 7 --report   an hour, and docs/reports/soak.md
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { provenance } from '../../bench/provenance.ts';
import { Random } from '../../src/simulator/random.ts';
import { againstCompanion, Chaos, wrongAtTheEnd } from '../chaos/chaos.ts';
import type { ProcessState } from '../support/companion-process.ts';
import { SinkDouble } from '../support/event-sink.ts';
import { growthCells, growthHead, growthLine, growths } from '../support/memory-verdict.ts';
import { table, writeReport } from '../support/reports.ts';
import { runCommand, wholeFrom } from '../support/run-command.ts';

const roundSeconds = 5;
/** What was under way has ended, and what is written each second is written. */
const settleMs = 1500;
/**
 * The warm-up, in which code is compiled and windows fill: a minute, and as many requests as a machine that does nothing else
 * serves in it. It is a third of the run at most.
 */
const warmUpSeconds = 60;
const warmUpRequests = 30_000;
const refusedEvents = 0.02;

const { seconds, seed, report } = runCommand(
  'soak',
  'Compares what a companion holds under all that the chaos has with what it held.',
)
  .option('--seconds <n>', 'how long, at least 20', wholeFrom(20), 60)
  .option('--seed <n>', 'of what is asked and of what goes wrong', wholeFrom(0), 1)
  .option('--report', 'write docs/reports/soak.md')
  .parse()
  .opts<{ seconds: number; seed: number; report?: true }>();

const from = provenance();
const random = new Random(seed);
const sink = new SinkDouble();
let events = 0;
sink.answer = () => {
  events += sink.events.length;
  sink.events.length = 0;
  return random.uniform() < refusedEvents ? 503 : 200;
};
const folder = mkdtempSync(join(tmpdir(), 'paceline-soak-'));
const chaos = new Chaos(seed);
const logTo = `http://127.0.0.1:${await sink.start()}/`;
const flags = [
  // Collectors of spans that are not there are part of it.
  ...['--log-url', logTo, '--trace-endpoint', 'http://127.0.0.1:9', '--trace-share', '0.1', '--access-log', '0.01'],
  ...['--record', join(folder, 'r.plr'), '--record-bytes', '2MB', '--request-log', 'true'],
];
const states: ProcessState[] = [];
const failures: string[] = [];
let warmUp = 0;
await againstCompanion(chaos, flags, async (companion) => {
  const began = performance.now();
  const until = began + seconds * 1000;
  for (let round = 1; performance.now() < until && !companion.gone; round++) {
    const roundEnds = performance.now() + roundSeconds * 1000;
    await chaos.callWhile(companion, () => performance.now() < roundEnds);
    chaos.upstream.closeConnections();
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    if (companion.gone) break;
    const state = await companion.state();
    states.push(state);
    if (performance.now() - began < warmUpSeconds * 1000 || chaos.ended < warmUpRequests) warmUp = round;
    console.log(
      `round ${round}: ${chaos.ended} requests, heap ${mb(state.heapUsed)} (${mb(state.code)} of it compiled code), external ${mb(state.external)}, RSS ${mb(state.rss)}, ${state.handles} handles, ${state.files} files, ${chaos.ledger.wrongs} wrong`,
    );
  }
  if (!companion.gone) failures.push(...(await wrongAtTheEnd(companion, chaos)));
}).finally(async () => {
  await sink.stop();
  rmSync(folder, { recursive: true });
});

const { ledger } = chaos;
if (ledger.wrongs > 0) failures.push(`${ledger.wrongs} requests or calls were wrong:`, ...ledger.wrong);
if (events === 0) failures.push('no payload came to the sink');
warmUp = Math.min(warmUp, Math.floor(states.length / 3));
const memory = growths(states, warmUp);
console.log(`${states.length} rounds, of which ${warmUp} are the warm-up`);
for (const growth of memory) console.log(growthLine(growth));
for (const failure of failures) console.log(`FAIL ${failure}`);
const grown = memory.filter(({ fits }) => !fits).length;
const failed = grown + (failures.length > 0 ? 1 : 0);
if (report) {
  writeReport('soak', from, [
    `\`npm run soak -- --seconds ${seconds} --seed ${seed} --report\`: ${states.length} rounds, ${chaos.ended} requests of all protocols, ${ledger.counts.calls} calls to the model (4 % with a fault), ${events} payloads logged, with recording, request log, access log and spans on. ${ledger.wrongs} requests were wrong.`,
    failed === 0 ? 'Everything held.' : `${failed} of ${memory.length + 1} checks failed.`,
    `The first ${warmUp} rounds are the warm-up: a minute and ${warmUpRequests} requests, or a third of the run. Of those after it the last third may not hold more than 5 % above the first.`,
    table(growthHead, memory.map(growthCells)),
  ]);
}
console.log(`${memory.length + 1 - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
