import * as assert from 'uvu/assert';
import { parseReadinessProbe } from '../../src/policy/readiness-probe.ts';
import { suite } from '../support/suite.ts';

const parseOne = (probe: object) => parseReadinessProbe(JSON.stringify(probe))[0];

suite('readiness probe', (test) => {
  test('what cannot be asked is refused, and the message says what would be right', () => {
    for (const [text, message] of [
      ['tcp', /not JSON/],
      ['null', /not an object/],
      ['[null]', /not an object/],
      ['7', /not an object/],
      ['{}', /none of httpGet/],
      ['{"tcpSocket":{}}', /neither a number/],
      ['{"tcpSocket":{"port":0}}', /neither a number/],
      ['{"tcpSocket":{"port":65536}}', /neither a number/],
      ['{"tcpSocket":{"port":"99999"}}', /neither a number/],
      ['{"tcpSocket":{"port":80,"host":"a b"}}', /not a host/],
      ['{"httpGet":{"port":80,"path":"/a b"}}', /not a path/],
      ['{"httpGet":{"port":80,"path":7}}', /where text belongs/],
      ['{"httpGet":{"port":80,"httpHeaders":{}}}', /not a list/],
      ['{"httpGet":{"port":80,"httpHeaders":[{"name":"a\\r\\nb","value":"c"}]}}', /not a header/],
      ['{"httpGet":{"port":80,"httpHeaders":[{"name":"a","value":"b\\r\\nc: d"}]}}', /not a header/],
      ['{"grpc":{}}', /neither a number/],
      ['{"tcpSocket":{"port":80},"timeoutSeconds":-1}', /whole number/],
      ['{"tcpSocket":{"port":80},"timeoutSeconds":"1"}', /whole number/],
    ] as const) {
      assert.throws(() => parseReadinessProbe(text), message, text);
    }
  });

  test('an empty text asks nothing', () => {
    assert.equal(parseReadinessProbe(''), []);
  });

  test("what Knative and KServe write is read, with Kubernetes' defaults", () => {
    assert.equal(parseOne({ tcpSocket: { port: 8080, host: '127.0.0.1' }, successThreshold: 1 }), {
      action: { kind: 'tcp', host: '127.0.0.1', port: 8080 },
      timeoutMs: 1000,
      aggressive: true,
      successes: 1,
    });
    const httpGet = {
      path: 'v2/health/ready',
      port: '8080',
      scheme: 'HTTPS',
      httpHeaders: [{ name: 'A', value: 'b' }],
    };
    assert.equal(parseOne({ httpGet, periodSeconds: 5, timeoutSeconds: 3, successThreshold: 2 }), {
      action: { kind: 'http', host: '127.0.0.1', port: 8080, path: '/v2/health/ready', tls: true, headers: ['A', 'b'] },
      timeoutMs: 3000,
      aggressive: false,
      successes: 2,
    });
    assert.equal(parseOne({ grpc: { port: 9000, service: null }, periodSeconds: 10 })?.action, {
      kind: 'grpc',
      port: 9000,
      service: '',
    });
    assert.is(parseReadinessProbe('[{"tcpSocket":{"port":1}},{"tcpSocket":{"port":2}}]').length, 2);
  });

  test('a port that has a name, and a command, are asked as far as another container can, with a note', () => {
    const named = parseOne({ httpGet: { path: '/', port: 'http1' } });
    assert.is(named?.action.port, undefined);
    assert.match(named?.note ?? '', /the name "http1"/);
    const executed = parseOne({ exec: { command: ['true'] } });
    assert.equal(executed?.action, { kind: 'tcp', host: '127.0.0.1', port: undefined });
    assert.match(executed?.note ?? '', /cannot be run from another container/);
  });
});
