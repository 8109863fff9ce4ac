import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { LaneKeys } from '../../src/companion/batching/lane-keys.ts';
import { LaneTable } from '../../src/companion/batching/lanes.ts';
import { headersKey } from '../../src/companion/http/headers.ts';
import { suite } from '../support/suite.ts';

const shared = new Set(['cookie']);
const names = [
  'Host',
  'Authorization',
  'X-A',
  'x-request-id',
  'Traceparent',
  'Connection',
  'Cookie',
  'Accept-Encoding',
];
const values = ['a', 'b', 'x-a', 'keep-alive', 'close, x-a'];

function request(socket: object, url: string, rawHeaders: string[], httpVersionMajor = 1): IncomingMessage {
  return { socket, url, rawHeaders, httpVersionMajor } as unknown as IncomingMessage;
}

suite('companion: lane keys', (test) => {
  test('are what the headers say, whatever the connection asked before', () => {
    const headers = fc.array(fc.tuple(fc.constantFrom(...names), fc.constantFrom(...values)), { maxLength: 6 });
    const asked = fc.record({
      url: fc.constantFrom('/v1/models/a:predict', '/v1/models/b:predict'),
      signature: fc.constantFrom('one', 'two'),
      headers,
      socket: fc.nat(1),
      version: fc.constantFrom(1, 2),
    });
    fc.assert(
      fc.property(fc.array(asked, { minLength: 2, maxLength: 20 }), (history) => {
        const sockets = [{}, {}];
        const keys = new LaneKeys(shared);
        for (const each of history) {
          const raw = each.headers.flat();
          const key = keys.keyOf(request(sockets[each.socket] as object, each.url, raw, each.version), each.signature);
          assert.is(key, LaneTable.keyOf(each.url, headersKey(raw, shared), each.signature));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
