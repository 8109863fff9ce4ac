import * as assert from 'uvu/assert';
import { Baseline, type BaselineRule, type FixedTimer } from '../../src/demo/baseline.ts';
import { ModelServer } from '../support/model-server.ts';
import { suite } from '../support/suite.ts';

interface Rig {
  model: ModelServer;
  predict(instances: unknown[] | string): Promise<{ status: number; text: string }>;
}

/** A batch of as many as are asked for never waits for its timer, however slow the machine is. */
const unhurried: FixedTimer = { maxBatchSize: 2, maxLatencyMs: 60_000 };

async function withBaseline(rule: BaselineRule, timer: FixedTimer, body: (rig: Rig) => Promise<void>): Promise<void> {
  const model = new ModelServer();
  const upstream = `http://127.0.0.1:${await model.start()}`;
  const baseline = new Baseline(upstream, rule, timer);
  const url = `http://127.0.0.1:${await baseline.listen(0, '127.0.0.1')}/v1/models/m:predict`;
  const predict: Rig['predict'] = async (instances) => {
    const text = typeof instances === 'string' ? instances : JSON.stringify({ instances });
    const answer = await fetch(url, { method: 'POST', body: text });
    return { status: answer.status, text: await answer.text() };
  };
  try {
    await body({ model, predict });
  } finally {
    await baseline.close();
    await model.stop();
  }
}

function prediction(value: unknown): string {
  return JSON.stringify({ predictions: [{ echo: value }] });
}

suite('demo: baselines', (test) => {
  test('a refusal of the model reaches everybody in the batch, and a dead model is 502', () =>
    withBaseline('fixed-timer', unhurried, async ({ model, predict }) => {
      model.behave = () => 500;
      const refused = await Promise.all([1, 2].map((value) => predict([value])));
      assert.equal(
        refused.map(({ status }) => status),
        [500, 500],
      );
      model.behave = () => 'few';
      assert.equal(
        (await Promise.all([1, 2].map((value) => predict([value])))).map(({ status }) => status),
        [502, 502],
      );
      model.behave = () => 'reset';
      assert.equal(
        (await Promise.all([1, 2].map((value) => predict([value])))).map(({ status }) => status),
        [502, 502],
      );
    }));

  test('without batching every request is a call, byte for byte', () =>
    withBaseline('none', unhurried, async ({ model, predict }) => {
      const answers = await Promise.all([1, 2, 3].map((value) => predict(`{"instances" : [${value}]}`)));
      assert.equal(
        answers.map(({ text }) => text),
        [1, 2, 3].map(prediction),
      );
      assert.is(model.calls.length, 3);
      assert.match(model.calls[0]?.body ?? '', /^\{"instances" : \[\d\]\}$/);
    }));

  test('the fixed timer sends a full batch at once, the rest when time is up, and answers each its own', () =>
    withBaseline('fixed-timer', { maxBatchSize: 4, maxLatencyMs: 1000 }, async ({ model, predict }) => {
      const answers = await Promise.all([1, 2, 3, 4, 5].map((value) => predict([value])));
      assert.equal(
        answers.map(({ text }) => text),
        [1, 2, 3, 4, 5].map(prediction),
      );
      assert.equal(
        model.calls.map(({ items }) => items.length),
        [4, 1],
      );
    }));
});
