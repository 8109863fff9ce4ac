import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as assert from 'uvu/assert';
import { type LoadPlan, type LoadResult, openLoop } from '../../src/demo/open-loop.ts';
import { suite } from '../support/suite.ts';

/** Answers call number n after `delayMs(n)`, or never if that is Infinity. */
async function withServer(
  delayMs: (call: number) => number,
  body: (url: string, seen: { calls: number; closed: number }) => Promise<void>,
): Promise<void> {
  const seen = { calls: 0, closed: 0 };
  const server: Server = createServer((request, response) => {
    const delay = delayMs(seen.calls++);
    response.on('close', () => {
      if (!response.writableFinished) seen.closed++;
    });
    request.resume();
    if (delay !== Number.POSITIVE_INFINITY) setTimeout(() => response.end('right'), delay);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Arrivals at even distances: exponential gaps with this uniform number have exactly their mean. */
const even = () => 1 - 1 / Math.E;

function load(url: string, changes: Partial<LoadPlan>): Promise<LoadResult> {
  return openLoop({
    url,
    ratePerSecond: 100,
    seconds: 0.5,
    sloMs: 5000,
    timeoutMs: 10_000,
    shot: () => ({ path: '/', body: 'x', isRight: (reply) => reply === 'right' }),
    random: even,
    ...changes,
  });
}

suite('demo: open-loop load', (test) => {
  test('a caller that gets no answer gives up, hangs up, and counts as no answer', () =>
    withServer(
      () => Number.POSITIVE_INFINITY,
      async (url, seen) => {
        const result = await load(url, { timeoutMs: 100 });
        assert.equal([...result.statuses], [[0, result.sent]]);
        assert.is(result.goodput, 0);
        assert.ok(Number.isNaN(result.p50) && Number.isNaN(result.p99));
        await new Promise((resolve) => setTimeout(resolve, 50));
        assert.is(seen.closed, seen.calls);
      },
    ));

  test('a server that is not there is no answer, and no crash', async () => {
    const result = await load('http://127.0.0.1:9', { seconds: 0.1 });
    assert.equal([...result.statuses], [[0, result.sent]]);
  });

  test('wrong answers and late ones are no goodput', () =>
    withServer(
      (call) => (call % 2 === 0 ? 0 : 300),
      async (url) => {
        let number = 0;
        const result = await load(url, {
          sloMs: 200,
          shot: () => {
            const wanted = number++ % 4 === 0 ? 'other' : 'right';
            return { path: '/', body: 'x', isRight: (reply) => reply === wanted };
          },
        });
        assert.is(result.wrong, Math.ceil(result.sent / 4));
        assert.ok(result.goodput <= 0.75 && result.goodput > 0, `${result.goodput}`);
        assert.equal([...result.statuses.keys()], [200]);
      },
    ));

  test('slow answers do not slow the arrivals down', () =>
    withServer(
      () => 800,
      async (url) => {
        const slow = await load(url, {});
        assert.ok(slow.sent >= 50 && slow.sent <= 51, `${slow.sent}`);
        assert.ok(slow.p50 >= 800);
      },
    ));

  test('a stall of the sender itself counts: latency is from the intended time', () =>
    withServer(
      () => 0,
      async (url) => {
        const stallMs = 400;
        let number = 0;
        const result = await load(url, {
          ratePerSecond: 200,
          shot: () => {
            if (number++ === 10) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stallMs);
            return { path: '/', body: 'x', isRight: () => true };
          },
        });
        // Four fifths of the arrivals were due during the stall; had the clock started at sending, all were fast.
        assert.ok(result.sent >= 100 && result.sent <= 101, `${result.sent}`);
        assert.ok(result.p99 >= stallMs * 0.9, `P99 ${result.p99}`);
        assert.ok(result.p50 >= 100, `P50 ${result.p50}`);
      },
    ));

  test('progress goes from the start to the end', () =>
    withServer(
      () => 0,
      async (url) => {
        const shares: number[] = [];
        await load(url, { progress: (share) => shares.push(share) });
        assert.ok(shares.length > 3 && (shares[0] as number) < 0.1 && (shares.at(-1) as number) > 0.8, `${shares}`);
        assert.equal(
          shares,
          [...shares].sort((one, other) => one - other),
        );
      },
    ));
});
