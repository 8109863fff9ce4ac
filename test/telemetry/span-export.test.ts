import * as assert from 'uvu/assert';
import { type Span, SpanExport, type SpanResult, type SpanSender } from '../../src/telemetry/span-export.ts';
import { QuietLog } from '../support/quiet-log.ts';
import { suite } from '../support/suite.ts';

const span: Span = {
  name: 'x',
  kind: 'internal',
  context: { traceId: '1'.repeat(32), spanId: '1'.repeat(16), sampled: true },
  startMs: 0,
  endMs: 1,
  attributes: {},
};

function rig(send: SpanSender['send']) {
  const results: Partial<Record<SpanResult, number>> = {};
  const log = new QuietLog();
  const spans = new SpanExport(Promise.resolve({ send, stop: () => Promise.resolve() }), log, (result, count) => {
    results[result] = (results[result] ?? 0) + count;
  });
  return { spans, results, log };
}

suite('the export of spans', (test) => {
  test('a collector that does not take them, or hangs, costs bounded memory and no request', async () => {
    const broken = rig(() => Promise.reject(new Error('no')));
    for (let i = 0; i < 100; i++) broken.spans.add(span);
    await broken.spans.drain(performance.now() + 60_000);
    assert.equal(broken.results, { failed: 100 });
    const hanging = rig(() => new Promise(() => {}));
    for (let i = 0; i < 10_000; i++) hanging.spans.add(span);
    assert.equal(hanging.results, { 'queue-full': 10_000 - 512 - 4096 });
    await hanging.spans.drain(performance.now() - 1);
    assert.is(hanging.results.failed, 4096, 'what waited; 512 are on their way');
  });

  test('a collector that hangs does not hold up a drain beyond its bound', async () => {
    const never = () => new Promise<void>(() => {});
    let stopped = false;
    const stop = () => {
      stopped = true;
      return never();
    };
    const spans = new SpanExport(Promise.resolve({ send: never, stop }), new QuietLog(), () => {});
    spans.add(span);
    await spans.drain(performance.now() + 20);
    assert.ok(stopped);
  });

  test('where the sender cannot be loaded it is said, and spans are dropped', async () => {
    const log = new QuietLog();
    let dropped = 0;
    const spans = new SpanExport(Promise.reject(new Error('missing')), log, () => dropped++);
    await new Promise((resolve) => setImmediate(resolve));
    spans.add(span);
    assert.is(dropped, 1);
    assert.match(String(log.lines[0]?.message), /cannot be exported/);
    await spans.drain(performance.now() + 60_000);
  });

  test('all that waits is sent in batches, and before a drain ends', async () => {
    const sizes: number[] = [];
    const { spans, results } = rig(async (batch) => void sizes.push(batch.length));
    for (let i = 0; i < 1100; i++) spans.add(span);
    await spans.drain(performance.now() + 60_000);
    assert.equal(sizes, [512, 512, 76]);
    assert.equal(results, { sent: 1100 });
  });
});
