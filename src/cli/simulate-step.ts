import { type StepFigures, type StepOptions, stepComparison } from '../simulator/scenarios/step.ts';

/** Prints what each way of serving a fivefold step under Knative comes to, in virtual time. */
export function printStep(options: StepOptions): void {
  const figures = stepComparison(options);
  console.log(
    '40 -> 200 requests/s at once, serial model of 50 ms + 5 ms an item, SLO 500 ms, one ready replica at the step',
  );
  console.log(`in time: of the 60 s from the step | of the 60 s after | first 15 s, of what ready replicas can serve`);
  const width = Math.max(...figures.map((each) => each.way.length));
  for (const each of figures) console.log(row(each, width));
  const started = figures[0]?.coldStarts ?? [];
  console.log(
    `cold starts of ${figures[0]?.way}: ${started.map((ms) => `${(ms / 1000).toFixed(1)} s`).join(', ') || 'none'}`,
  );
}

function row(each: StepFigures, width: number): string {
  const percent = (share: number) => `${(100 * share).toFixed(2)}%`.padStart(8);
  return [
    each.way.padEnd(width),
    percent(each.during),
    percent(each.after),
    each.ofPossible.toFixed(3).padStart(7),
    `${each.replicaSeconds.toFixed(0)} replica-s`.padStart(16),
    `at most ${each.replicasMost} replicas`.padStart(22),
  ].join(' ');
}
