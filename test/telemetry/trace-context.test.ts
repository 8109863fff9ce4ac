import * as assert from 'uvu/assert';
import { newSpanId, newTraceId, parseTraceparent, traceparentOf } from '../../src/telemetry/trace-context.ts';
import { suite } from '../support/suite.ts';

const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const span = '00f067aa0ba902b7';

suite('trace context', (test) => {
  test('what is no traceparent begins a trace of its own', () => {
    for (const wrong of [
      undefined,
      '',
      'x',
      `00-${trace}-${span}`,
      `00-${trace}-${span}-01-more`,
      `00-${trace}-${span}-1`,
      `ff-${trace}-${span}-01`,
      `00-${'0'.repeat(32)}-${span}-01`,
      `00-${trace}-${'0'.repeat(16)}-01`,
      `00-${trace.toUpperCase()}-${span}-01`,
      `00-${trace}-${span}-01, 00-${trace}-${span}-01`,
    ]) {
      assert.is(parseTraceparent(wrong), undefined, wrong);
    }
  });

  test('a caller’s context is read, that of later versions too, and written as version 00', () => {
    const read = parseTraceparent(`00-${trace}-${span}-01`);
    assert.equal(read, { traceId: trace, spanId: span, sampled: true });
    assert.is(parseTraceparent(`00-${trace}-${span}-02`)?.sampled, false);
    assert.is(parseTraceparent(`cc-${trace}-${span}-03-what-comes`)?.sampled, true);
    assert.is(traceparentOf(read as NonNullable<typeof read>), `00-${trace}-${span}-01`);
  });

  test('new ids are of the right form and differ', () => {
    const ids = new Set(Array.from({ length: 3000 }, newTraceId));
    assert.is(ids.size, 3000);
    for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
    assert.match(newSpanId(), /^[0-9a-f]{16}$/);
  });
});
