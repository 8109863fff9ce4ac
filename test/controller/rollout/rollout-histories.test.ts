import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { KServeTraffic } from '../../support/kserve-traffic.ts';
import { propertyRuns } from '../../support/property-runs.ts';
import { RolloutDrive } from '../../support/rollout-drive.ts';
import { suite } from '../../support/suite.ts';

type Event =
  | { readonly kind: 'seconds'; readonly count: number }
  | { readonly kind: 'deploy'; readonly slow: boolean }
  | { readonly kind: 'reapply' }
  | { readonly kind: 'silence'; readonly seconds: number }
  | { readonly kind: 'crash'; readonly seconds: number }
  | { readonly kind: 'clock'; readonly ms: number }
  | { readonly kind: 'reconcile'; readonly order: readonly ReconcilerName[] };

type ReconcilerName = keyof KServeTraffic['reconcilers'];
const reconcilers: readonly ReconcilerName[] = ['kserve', 'service', 'configuration', 'route', 'kubelet'];

const events = fc.array(
  fc.oneof<fc.Arbitrary<Event>[]>(
    fc.record({ kind: fc.constant('seconds'), count: fc.integer({ min: 1, max: 120 }) }),
    fc.record({ kind: fc.constant('deploy'), slow: fc.boolean() }),
    fc.record({ kind: fc.constant('reapply') }),
    fc.record({ kind: fc.constant('silence'), seconds: fc.integer({ min: 1, max: 90 }) }),
    fc.record({ kind: fc.constant('crash'), seconds: fc.integer({ min: 1, max: 20 }) }),
    fc.record({ kind: fc.constant('clock'), ms: fc.integer({ min: -100_000, max: 100_000 }) }),
    fc.record({ kind: fc.constant('reconcile'), order: fc.array(fc.constantFrom(...reconcilers), { maxLength: 12 }) }),
  ),
  { maxLength: 14 },
);

/** Plays a history of edits, silence, crashes, clock jumps and reconcilers in any order; returns the last model. */
function play(driven: RolloutDrive, history: readonly Event[], model: (index: number) => string): string {
  let last = 'one';
  let count = 0;
  for (const event of history) {
    switch (event.kind) {
      case 'seconds':
        driven.run(event.count);
        break;
      case 'deploy':
        last = model(count++);
        if (event.slow) driven.kserve.slow.add(`m-${driven.kserve.revisions.length + 1}`);
        driven.kserve.deploy(last);
        break;
      case 'reapply':
        driven.kserve.update({ canaryTrafficPercent: undefined });
        break;
      case 'silence':
        driven.signals = false;
        driven.run(event.seconds);
        driven.signals = true;
        break;
      case 'crash':
        driven.crash = true;
        driven.run(event.seconds);
        driven.crash = false;
        break;
      case 'clock':
        driven.nowMs = Math.max(driven.nowMs + event.ms, 1);
        break;
      case 'reconcile':
        for (const each of event.order) driven.kserve.reconcilers[each]();
        driven.nowMs += 1000;
        driven.look();
        break;
    }
  }
  for (const name of [...driven.kserve.slow]) driven.kserve.makeReady(name);
  return last;
}

suite('rollouts over any history', (test) => {
  test('end with the last model at everything where all models are good; no write ever brings back an older one', () => {
    fc.assert(
      fc.property(events, fc.nat(), (history, seed) => {
        const driven = new RolloutDrive(new KServeTraffic('one'), { models: {}, seed: seed + 1 });
        const last = play(driven, history, (index) => `model-${index}`);
        driven.run(900);
        assert.equal(driven.kserve.serving(), { [last]: 100 }, driven.reasons.join(' '));
        assert.is(driven.last?.state?.reverts ?? 0, 0);
      }),
      propertyRuns(30, 1000),
    );
  });

  test('never leave a share to a bad model, whatever came before', () => {
    const bad = { late: 0.7 };
    fc.assert(
      fc.property(events, fc.nat(), (history, seed) => {
        const names = Array.from({ length: 14 }, (_, index) => `bad-${index}`);
        const models = Object.fromEntries(names.map((name) => [name, bad]));
        const driven = new RolloutDrive(new KServeTraffic('one'), { models, seed: seed + 1 });
        play(driven, history, (index) => `bad-${index}`);
        driven.run(900);
        // KServe's own fall-back, which is mended by what it is newest, may let one through unwalked.
        if (driven.reasons.includes('BaselineLost')) return;
        assert.equal(driven.kserve.serving(), { one: 100 }, driven.reasons.join(' '));
      }),
      propertyRuns(30, 1000),
    );
  });
});
