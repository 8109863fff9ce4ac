import * as assert from 'uvu/assert';
import { Counter, Gauge, Histogram, SlidingShare } from '../../src/telemetry/instruments.ts';
import { suite } from '../support/suite.ts';

const open = (name: string) => ({ name, values: 'anything' });

function seriesOf(counter: Counter): string[] {
  return counter.samples().map(({ labels, value }) => `${Object.values(labels).join('/')} ${value}`);
}

suite('instruments', (test) => {
  test('a counter bounds its series and loses no count', () => {
    const one = new Counter('c_total', 'c', [open('a')], 4);
    const two = new Counter('c_total', 'c', [open('a'), open('b')], 4);
    for (let i = 0; i < 100; i++) {
      one.add(1, `label-${i}`);
      two.add(1, `label-${i % 3}`, `other-${i}`);
    }
    assert.is(one.samples().length, 5);
    assert.is(two.samples().length, 5);
    assert.is(one.total(), 100);
    assert.is(two.total(), 100);
  });

  test('a closed label counts what it does not know as other', () => {
    const counter = new Counter('c_total', 'c', [{ name: 'a', values: ['x', 'y'] }, open('b')]);
    counter.add(1, 'x', '1');
    counter.add(2, 'z', '1');
    counter.add(4, '__proto__', '1');
    assert.equal(seriesOf(counter), ['x/1 1', 'other/1 6']);
  });

  test('series of one closed label, and of none, are there before anything is counted', () => {
    assert.equal(seriesOf(new Counter('c_total', 'c', [{ name: 'a', values: ['x', 'y'] }])), ['x 0', 'y 0']);
    assert.equal(seriesOf(new Counter('c_total', 'c')), [' 0']);
    assert.equal(seriesOf(new Counter('c_total', 'c', [open('a')])), []);
  });

  test('two labels keep their values apart, however they are written', () => {
    const counter = new Counter('c_total', 'c', [open('a'), open('b')]);
    counter.add(1, 'a', 'b\u0000c');
    counter.add(2, 'a\u0000b', 'c');
    assert.equal(counter.samples(), [
      { labels: { a: 'a', b: 'b\u0000c' }, value: 1 },
      { labels: { a: 'a\u0000b', b: 'c' }, value: 2 },
    ]);
  });

  test('a histogram counts each value in the first bucket that holds it', () => {
    const histogram = new Histogram('h', 'h', [1, 2, 5]);
    for (const value of [0.5, 1, 1.5, 5, 6]) histogram.observe(value);
    const values = histogram.samples().map((sample) => sample.value);
    assert.equal(values, [2, 3, 4, 5, 14, 5]);
  });

  test('a histogram that saw nothing shows all its buckets', () => {
    const samples = new Histogram('h', 'h', [1, 2]).samples();
    assert.equal(
      samples.map(({ metricName, labels, value }) => `${metricName} ${labels.le ?? ''} ${value}`),
      ['h_bucket 1 0', 'h_bucket 2 0', 'h_bucket +Inf 0', 'h_sum  0', 'h_count  0'],
    );
  });

  test('a gauge is read when it is asked for', () => {
    let value = 1;
    const gauge = new Gauge('g', 'g', () => value);
    value = 7;
    assert.equal(gauge.samples(), [{ labels: {}, value: 7 }]);
  });

  test('a sliding share forgets after a minute', () => {
    const share = new SlidingShare();
    assert.ok(Number.isNaN(share.share(0)));
    for (let i = 0; i < 10; i++) share.record(1000, i < 3);
    assert.is(share.share(30_000), 0.3);
    assert.ok(Number.isNaN(share.share(70_000)));
  });
});
