import * as assert from 'uvu/assert';
import { optionsOf, type PlanSettings, phaseAt, planOf, scenarioNames, thresholdsOf } from '../../loadtests/plan.ts';
import { suite } from '../support/suite.ts';

const settings: PlanSettings = {
  sides: [{ name: 'service', url: 'http://127.0.0.1:1/x' }],
  sloMs: 500,
  quantile: 0.99,
  body: '{}',
};

suite('load plans', (test) => {
  test('the step is five times the rate for good, judged as the promise says', () => {
    const { phases } = planOf('step', { ...settings, rate: 40, durationSeconds: 180 });
    assert.equal(phases, [
      { name: 'before', rate: 40, seconds: 30, share: 0.99 },
      { name: 'step', rate: 200, seconds: 60, share: 0.95 },
      { name: 'after', rate: 200, seconds: 90, share: 0.99 },
    ]);
  });

  test('phases of every scenario fill its duration', () => {
    for (const name of scenarioNames) {
      const { phases } = planOf(name, { ...settings, durationSeconds: 120 });
      const seconds = phases.reduce((sum, phase) => sum + phase.seconds, 0);
      assert.ok(Math.abs(seconds - 120) < 1e-9, name);
      assert.is(new Set(phases.map((phase) => phase.name)).size, phases.length, name);
    }
  });

  test('a request belongs to the phase in which it is sent, and the last one does not end', () => {
    const { phases } = planOf('step', { ...settings, durationSeconds: 180 });
    const at = (seconds: number) => phaseAt(phases, seconds).name;
    assert.equal(
      [at(0), at(29.99), at(30), at(89.9), at(90), at(999)],
      ['before', 'before', 'step', 'step', 'after', 'after'],
    );
  });

  test('load comes at a rate whether or not answers do, and jumps instead of ramping', () => {
    const { scenarios } = optionsOf(planOf('step', { ...settings, rate: 40, durationSeconds: 180 }));
    const { executor, stages, startRate, preAllocatedVUs, maxVUs } = scenarios.service as never as {
      executor: string;
      stages: { target: number; duration: string }[];
      startRate: number;
      preAllocatedVUs: number;
      maxVUs: number;
    };
    assert.is(executor, 'ramping-arrival-rate');
    assert.is(startRate, 40);
    assert.equal(stages.slice(2, 4), [
      { target: 200, duration: '0s' },
      { target: 200, duration: '60000ms' },
    ]);
    // 200/s that take 2 s each need 400 players.
    assert.ok(preAllocatedVUs >= 400 && maxVUs >= 2000);
  });

  test('only the first side of a comparison is judged', () => {
    const sides = [...settings.sides, { name: 'baseline', url: 'http://127.0.0.1:2/x' }];
    const plan = planOf('compare', { ...settings, sides });
    assert.equal(Object.keys(optionsOf(plan).scenarios), ['service', 'baseline']);
    assert.not.match(JSON.stringify(thresholdsOf(plan)), /baseline/);
  });

  test('where nothing may be lost, a single failure is too many', () => {
    for (const name of ['canary', 'scale-from-zero'] as const) {
      assert.equal(thresholdsOf(planOf(name, settings))['failed{side:service}'], ['rate==0']);
    }
    assert.is(thresholdsOf(planOf('steady', settings))['failed{side:service}'], undefined);
  });
});
