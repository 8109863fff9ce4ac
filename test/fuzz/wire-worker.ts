// A part of the fuzzing of `wire.wasm`: how many cases, for how many seconds at most, from which seed.
import { WireKernel } from '../../src/kernels/wire.ts';
import { chance } from '../support/mutations.ts';
import type { WirePart } from './wire.ts';
import { lineOf, mutateCase, soundCases, traitOf, type WireCase, WireChecker, wireKinds } from './wire-cases.ts';

/** Sound cases of each kind, and how often each is changed before new ones are made. */
const sounds = 50;
const rounds = 20;
const findingsMax = 5;
/** Of one trait the smallest case is kept. */
const keptBytesMax = 600;

const [runsMax = 0, seconds = 0, seed = 0] = process.argv.slice(2).map(Number);
const until = performance.now() + seconds * 1000;
const below = chance(seed);
const kernel = new WireKernel();
let checker = new WireChecker();
const outcomes: Record<string, number> = {};
const findings: string[] = [];
const kept = new Map<string, WireCase>();
let [runs, merged, split] = [0, 0, 0];

for (let epoch = 0; goesOn(); epoch++) {
  for (const kind of wireKinds) {
    const originals = soundCases(kind, sounds, seed * 100_003 + epoch);
    for (let round = 0; round < rounds; round++) {
      for (const original of originals) {
        if (!goesOn()) break;
        const other = originals[below(originals.length)] as WireCase;
        check(round === 0 ? original : mutateCase(original, other, below));
      }
      tell(false);
    }
  }
}
tell(true);
process.disconnect();

function goesOn(): boolean {
  return runs < runsMax && findings.length < findingsMax && performance.now() < until;
}

function check(given: WireCase): void {
  runs++;
  let wrong: string | undefined;
  try {
    wrong = checker.wrongWith(given);
  } catch (error) {
    wrong = `it threw: ${error}`;
    checker = new WireChecker();
  }
  if (wrong) findings.push(`${wrong}\n  ${lineOf(given)}`);
  const { kind } = given;
  outcomes[`${kind} ${checker.outcome}`] = (outcomes[`${kind} ${checker.outcome}`] ?? 0) + 1;
  if (given.body.length > keptBytesMax || wrong) return;
  const trait = traitOf(kernel, given);
  if (given.body.length < (kept.get(trait)?.body.length ?? Number.POSITIVE_INFINITY)) kept.set(trait, given);
}

function tell(done: boolean): void {
  [merged, split] = [checker.merged, checker.split];
  const lines = done ? [...kept].sort(([one], [two]) => one.localeCompare(two)).map(([, given]) => lineOf(given)) : [];
  process.send?.({ runs, outcomes, merged, split, findings, kept: lines, done } satisfies WirePart);
}
