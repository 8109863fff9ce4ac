import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as assert from 'uvu/assert';
import { Pool } from '../../src/companion/upstream/http-client.ts';
import { quantileOf, timedCall } from '../../src/load/timed-call.ts';
import { suite } from '../support/suite.ts';

suite('a timed call', (test) => {
  test('no answer in time is status 0, an answer has its own, and time counts from when it was due', async () => {
    const server = createServer((request, response) => {
      if (request.url === '/hang') return;
      if (request.url === '/reset') return void response.socket?.resetAndDestroy();
      response.writeHead(418).end('tea');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const pool = new Pool(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { connections: 2 });
    const call = (path: string, intended = performance.now(), timeoutMs = 60_000) =>
      timedCall(pool, { path, headers: [], body: '{}', intended, timeoutMs });
    try {
      const hung = await call('/hang', performance.now(), 20);
      assert.equal([hung.status, hung.failure], [0, 'timeout']);
      const reset = await call('/reset');
      assert.equal([reset.status, reset.failure], [0, 'reset']);
      const late = await call('/', performance.now() - 500);
      assert.equal([late.status, late.text], [418, 'tea']);
      assert.ok(late.ms >= 500);
    } finally {
      await pool.destroy();
      server.closeAllConnections();
      server.close();
    }
  });

  test('a quantile of nothing is no number', () => {
    assert.ok(Number.isNaN(quantileOf([], 0.5)));
    assert.is(quantileOf([1, 2, 3, 4, 5], 0.5), 3);
    assert.is(quantileOf([1, 2, 3, 4], 0.5), 2);
    // Of few the slowest is among the last hundredth.
    assert.is(quantileOf([1, 2, 3], 0.99), 3);
    assert.is(quantileOf([1], 0), 1);
  });
});
