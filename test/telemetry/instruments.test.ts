import * as assert from 'uvu/assert';
import { Exposition } from '../../src/telemetry/exposition.ts';
import { Counter, Histogram, SlidingShare } from '../../src/telemetry/instruments.ts';
import { suite } from '../support/suite.ts';

suite('instruments', (test) => {
  test('a counter bounds its series and loses no count', () => {
    const counter = new Counter('c_total', 'c', ['a'], 4);
    for (let i = 0; i < 100; i++) counter.add(1, `label-${i}`);
    assert.is(counter.samples().length, 5);
    assert.is(counter.total(), 100);
  });

  test('a histogram counts each value in the first bucket that holds it', () => {
    const histogram = new Histogram('h', 'h', [1, 2, 5]);
    for (const value of [0.5, 1, 1.5, 5, 6]) histogram.observe(value);
    const values = histogram.samples().map((sample) => sample.value);
    assert.equal(values, [2, 3, 4, 5, 14, 5]);
  });

  test('a sliding share forgets after a minute', () => {
    const share = new SlidingShare();
    for (let i = 0; i < 10; i++) share.record(1000, i < 3);
    assert.is(share.share(30_000), 0.3);
    assert.ok(Number.isNaN(share.share(70_000)));
  });

  test('label values are escaped in the page', async () => {
    const counter = new Counter('c_total', 'help', ['a']);
    counter.add(2, 'x"y\\z\n');
    const { body } = await new Exposition([counter]).render(undefined);
    assert.match(body, 'c_total{a="x\\"y\\\\z\\n"} 2');
  });
});
