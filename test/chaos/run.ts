// Many requests of all protocols through a companion whose model fails in all ways and whose callers misbehave: nobody may
// get anything but its own answer, once. The last line is `N passed, N failed`.
//
//   npm run chaos                                          100,000 requests
//   npm run chaos -- --requests 1000000 --seed 7 --report  writes docs/reports/chaos.md too
import { provenance } from '../../bench/provenance.ts';
import { type ProcessState, settled } from '../support/companion-process.ts';
import { growthCells, growthHead, growthLine, growths } from '../support/memory-verdict.ts';
import { Progress } from '../support/progress.ts';
import { table, writeReport } from '../support/reports.ts';
import { runCommand, wholeFrom } from '../support/run-command.ts';
import { againstCompanion, Chaos, wrongAtTheEnd } from './chaos.ts';

/** What a run is looked at: memory after so many parts of it. */
const parts = 12;
/** In these everything is built up. */
const warmUpParts = 4;
/** An idle connection to the model is kept for seconds. */
const settleMs = 15_000;
/** What may be kept beside what there was before the first request: a connection to the model for gRPC, a timer. */
const keptMax = 4;
/** The last parts, in which replies over gRPC may be such that they cannot be split. */
const unsplittableParts = 3;
/** Shares of requests: that waited in vain behind calls that hang, and calls to the model. */
const inVainMax = 0.005;
const callsMax = 0.85;

const { requests, seed, report } = runCommand(
  'chaos',
  'Sends requests of all protocols through a companion, with faults on both sides.',
)
  .option('--requests <n>', 'how many, at least 1000', wholeFrom(1000), 100_000)
  .option('--seed <n>', 'of what is asked and of what goes wrong', wholeFrom(0), 7)
  .option('--report', 'write docs/reports/chaos.md')
  .parse()
  .opts<{ requests: number; seed: number; report?: true }>();

const from = provenance();
const started = performance.now();
const chaos = new Chaos(seed);
const states: ProcessState[] = [];
const failures: string[] = [];
await againstCompanion(chaos, [], async (companion) => {
  const before = await companion.state();
  const progress = new Progress(() => {
    const share = Math.floor((100 * chaos.ended) / requests);
    const perSecond = Math.round((1000 * chaos.ended) / (performance.now() - started));
    return `chaos ${share} %: ${chaos.ended} requests, ${perSecond}/s, ${chaos.ledger.wrongs} wrong (seed ${seed})`;
  });
  for (let part = 1; part <= parts && chaos.ledger.wrongs < 20; part++) {
    chaos.unsplittableOverGrpc = part > parts - unsplittableParts;
    await chaos.callWhile(companion, (begun) => begun < (requests * part) / parts);
    // Connections to the model that have nothing to do are ended by the companion: closed from here, those that it has
    // forgotten would be closed too.
    states.push(await settled(companion, before, keptMax, settleMs));
  }
  progress.end();
  failures.push(...(await wrongAtTheEnd(companion, chaos)));
});

const { ledger } = chaos;
const { counts } = ledger;
const memory = growths(states, warmUpParts);
if (ledger.wrongs > 0) failures.push(`${ledger.wrongs} requests or calls were wrong:`, ...ledger.wrong);
if (chaos.ended !== requests) failures.push(`${chaos.ended} of ${requests} requests ended`);
if (counts.waitedInVain > inVainMax * requests) failures.push(`${counts.waitedInVain} requests waited in vain`);
if (counts.calls > callsMax * requests) failures.push(`${counts.calls} calls to the model: too little was batched`);
// A short run has no third in which everything has been built up.
const judged = requests >= 100_000 ? memory : [];
failures.push(...judged.filter(({ fits }) => !fits).map(({ what, thirds }) => `${what}: ${thirds.join(' -> ')}`));

const sorted = (counted: ReadonlyMap<string, number>) =>
  [...counted].sort(([one], [other]) => one.localeCompare(other));
const seconds = Math.round((performance.now() - started) / 1000);
console.log(`${requests} requests in ${seconds} s, seed ${seed}: ${JSON.stringify(counts)}`);
console.log(
  `answers: ${sorted(ledger.statuses)
    .map(([status, count]) => `${count} x ${status}`)
    .join(', ')}`,
);
console.log(
  `at the model: ${sorted(ledger.faults)
    .map(([fault, count]) => `${count} x ${fault}`)
    .join(', ')}`,
);
console.log(
  `in calls that carried several: ${sorted(ledger.together)
    .map(([driver, count]) => `${count} x ${driver}`)
    .join(', ')}`,
);
for (const growth of memory) console.log(growthLine(growth));
for (const failure of failures) console.log(`FAIL ${failure}`);
if (report) {
  writeReport('chaos', from, [
    `\`npm run chaos -- --requests ${requests} --seed ${seed} --report\`, ${seconds} s.`,
    `${requests} requests of V1, V2, V2 with binary tensors and gRPC through one companion, 4 % of the calls to the model with a fault, 3 % of the callers with bad manners. ${ledger.wrongs} answers were lost, doubled, swapped or altered, or no answer that the fault explains.`,
    failures.length === 0 ? 'Everything held.' : `Failed:\n\n${failures.map((each) => `- ${each}`).join('\n')}`,
    '## Answers',
    table(['answer', 'requests'], sorted(ledger.statuses)),
    '## What the model did',
    table(['fault', 'calls'], sorted(ledger.faults)),
    `Requests in calls that carried several: ${sorted(ledger.together)
      .map(([driver, count]) => `${count} of ${driver}`)
      .join(', ')}.`,
    `${counts.calls} calls, ${counts.batched} of them for several requests; ${counts.halves} halves of refused batches, ${counts.singles} requests alone after a reply that could not be split, ${counts.retries} calls sent again after a dead connection; ${counts.waitedInVain} requests waited in vain for a slot, ${counts.lostUnseen} were lost with a connection before the model had read them.`,
    '## What the companion held',
    `Looked at after each of ${parts} parts; the first ${warmUpParts} are the warm-up.`,
    table(growthHead, memory.map(growthCells)),
  ]);
}
console.log(failures.length === 0 ? '1 passed, 0 failed' : '0 passed, 1 failed');
process.exitCode = failures.length === 0 ? 0 : 1;
