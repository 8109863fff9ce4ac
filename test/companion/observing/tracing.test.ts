import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as assert from 'uvu/assert';
import { type CollectedSpan, CollectorDouble } from '../../support/collector.ts';
import { type Rig, together, withRig } from '../../support/companion.ts';
import { callH2c } from '../../support/h2c-call.ts';
import { suite } from '../../support/suite.ts';

const traceOf = (i: number) => String(i + 1).padStart(32, 'a');
const callerSpan = 'b'.repeat(16);
const sampled = (i: number) => ({ traceparent: `00-${traceOf(i)}-${callerSpan}-01`, tracestate: `vendor=${i}` });

/** Runs a companion that exports spans, and hands over what the collector has when it has drained. */
async function traced(
  flags: Record<string, string>,
  run: (rig: Rig) => Promise<void>,
  look: (collector: CollectorDouble) => void | Promise<void>,
): Promise<void> {
  const collector = new CollectorDouble();
  const port = await collector.start();
  const all = { 'trace-endpoint': `http://127.0.0.1:${port}`, 'trace-share': '0', isvc: 'models/iris', ...flags };
  try {
    await withRig({ 'drain-timeout': '60s', ...all }, async (rig) => {
      await run(rig);
      await rig.companion.drain();
    });
    await look(collector);
  } finally {
    await collector.stop();
  }
}

const only = (spans: readonly CollectedSpan[]): CollectedSpan => {
  assert.is(spans.length, 1);
  return spans[0] as CollectedSpan;
};

suite('tracing', (test) => {
  test('without an endpoint a caller’s context passes as it is, W3C and B3, and none is made', () =>
    withRig({}, async (rig) => {
      const b3 = { 'x-b3-traceid': traceOf(1), 'x-b3-spanid': callerSpan, 'x-b3-sampled': '1', b3: '0' };
      await rig.predict(1, { ...sampled(0), ...b3 });
      await rig.predict(2);
      const [own, none] = rig.model.calls.map(({ headers }) => headers);
      assert.is(own?.traceparent, sampled(0).traceparent);
      assert.is(own?.tracestate, 'vendor=0');
      for (const [name, value] of Object.entries(b3)) assert.is(own?.[name], value, name);
      assert.is(none?.traceparent, undefined);
      const callers = Array.from({ length: 12 }, (_, i) => i);
      const calls = await together(rig, () => callers.map((i) => rig.predict(i, { ...sampled(i), ...b3 })));
      assert.ok(
        calls.every(({ status }) => status === 200),
        'requests of different traces share a batch',
      );
      const batch = rig.model.calls.find(({ items }) => items.length > 1);
      assert.match(String(batch?.headers.traceparent), /^00-a+\d+-b{16}-01$/);
      assert.is(batch?.headers['x-b3-traceid'], traceOf(1));
    }));

  test('a collector that is gone fails no request', () =>
    withRig({ 'trace-endpoint': 'http://127.0.0.1:1', 'trace-share': '1' }, async (rig) => {
      assert.is((await rig.predict(1)).status, 200);
    }));

  test('a collector that hangs does not hold up a drain beyond its bound', async () => {
    let asked = 0;
    let open = 0;
    const collector = createServer((_request, response) => {
      asked++;
      open++;
      response.on('close', () => open--);
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
    try {
      await withRig({ 'trace-endpoint': endpoint, 'trace-share': '1', 'drain-timeout': '2s' }, async (rig) => {
        await rig.predict(1);
        await rig.companion.drain();
        // The exporter itself gives a collector 10 s, and when it gives up the collector hears of it a little later.
        await new Promise((resolve) => setTimeout(resolve, 200));
        assert.equal([asked, open], [1, 1], 'it is still being waited for');
      });
    } finally {
      collector.closeAllConnections();
      collector.close();
    }
  });

  test('a request continues its caller’s trace, and the model continues it', async () => {
    let toModel = '';
    await traced(
      {},
      async (rig) => {
        await rig.predict(1, sampled(0));
        await rig.predict(2, { traceparent: `00-${traceOf(9)}-${callerSpan}-00` });
        toModel = String(rig.model.calls[0]?.headers.traceparent);
        assert.is(rig.model.calls[0]?.headers.tracestate, 'vendor=0');
        assert.match(String(rig.model.calls[1]?.headers.traceparent), new RegExp(`^00-${traceOf(9)}-[0-9a-f]{16}-00$`));
      },
      (collector) => {
        assert.equal([...collector.paths], ['/v1/traces']);
        const request = only(collector.named('paceline.request'));
        assert.is(request.traceId, traceOf(0));
        assert.is(request.parentSpanId, callerSpan);
        assert.is(request.kind, 2, 'a server’s');
        assert.is(request.attributes['http.response.status_code'], 200);
        assert.is(request.attributes['paceline.outcome'], 'answered');
        assert.is(request.resource['service.name'], 'iris');
        assert.is(request.resource['service.namespace'], 'models');
        const execute = only(collector.named('paceline.execute'));
        assert.is(toModel, `00-${traceOf(0)}-${execute.spanId}-01`);
        for (const name of ['paceline.queue', 'paceline.wait', 'paceline.execute']) {
          const child = only(collector.named(name));
          assert.is(child.parentSpanId, request.spanId, name);
          assert.ok(BigInt(child.startTimeUnixNano) >= BigInt(request.startTimeUnixNano), name);
          assert.ok(BigInt(child.endTimeUnixNano) <= BigInt(request.endTimeUnixNano), name);
        }
      },
    );
  });

  test('a batch is a trace of its own that links to its requests, and they to it', async () => {
    let toModel = '';
    const callers = Array.from({ length: 12 }, (_, i) => i);
    const b3 = { 'x-b3-traceid': traceOf(1), 'x-b3-spanid': callerSpan, 'x-b3-sampled': '1', b3: '1' };
    await traced(
      {},
      async (rig) => {
        await together(rig, () => callers.map((i) => rig.predict(i, { ...sampled(i), ...b3 })));
        const batch = rig.model.calls.find(({ items }) => items.length > 1);
        assert.ok(batch, 'there was a batch');
        toModel = String(batch?.headers.traceparent);
        // What one caller's trace has beside its context says nothing of this one.
        for (const name of ['tracestate', ...Object.keys(b3)]) assert.is(batch?.headers[name], undefined, name);
      },
      (collector) => {
        const batch = collector.named('paceline.batch').find(({ traceId }) => toModel.includes(traceId));
        assert.is(toModel, `00-${batch?.traceId}-${batch?.spanId}-01`);
        const requests = collector.named('paceline.request');
        assert.is(requests.length, callers.length);
        assert.not(requests.some(({ traceId }) => traceId === batch?.traceId));
        const links = batch?.links ?? [];
        assert.ok(links.length > 0 && links.length <= Number(batch?.attributes['paceline.requests']));
        for (const link of links) {
          assert.ok(requests.some(({ traceId, spanId }) => traceId === link.traceId && spanId === link.spanId));
          const execute = collector.named('paceline.execute').find((each) => each.parentSpanId === link.spanId);
          assert.equal(
            execute?.links.map(({ traceId, spanId }) => [traceId, spanId]),
            [[batch?.traceId, batch?.spanId]],
          );
        }
      },
    );
  });

  test('errors are marked, and what passes through is traced over both protocols', () =>
    traced(
      { 'trace-share': '1' },
      async (rig) => {
        await rig.call('/v1/models/m:predict', 'no');
        await rig.call('/else');
        await callH2c(rig.port, '/h2', { traceparent: sampled(3).traceparent });
      },
      (collector) => {
        const by = (path: string) =>
          only(collector.named('paceline.request').filter(({ attributes }) => attributes['url.path'] === path));
        assert.is(by('/v1/models/m:predict').status.code, 2);
        assert.is(by('/v1/models/m:predict').attributes['error.type'], 'PL_BODY_SYNTAX');
        assert.is(by('/else').attributes['paceline.outcome'], 'passed');
        assert.match(by('/else').traceId, /^[0-9a-f]{32}$/);
        assert.is(by('/h2').traceId, traceOf(3));
        assert.is(collector.named('paceline.execute').length, 2);
      },
    ));
});
