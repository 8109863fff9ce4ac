import { connect } from 'node:net';
import * as assert from 'uvu/assert';
import { startRig, withRig } from '../support/companion.ts';
import { suite } from '../support/suite.ts';

suite('companion: bad input', (test) => {
  test('a body that is not valid gets 400 with a code, and never reaches the model', () =>
    withRig({}, async (rig) => {
      const bodies: [string | Buffer, string][] = [
        ['{"instances":[[1,2]}', 'PL_BODY_SYNTAX'],
        ['{"instances":[1', 'PL_BODY_SYNTAX'],
        ['', 'PL_BODY_SYNTAX'],
        ['{"instances":[1]} x', 'PL_BODY_SYNTAX'],
        ['{"instances":[01]}', 'PL_BODY_SYNTAX'],
        [`{"instances":[${'['.repeat(100)}${']'.repeat(100)}]}`, 'PL_BODY_DEPTH'],
        [Buffer.from('{"instances":["\xff\xfe"]}', 'latin1'), 'PL_BODY_ENCODING'],
        ['{"instances":[1],"instances":[2]}', 'PL_BODY_DUPLICATE_KEY'],
        ['{"instances":3}', 'PL_BODY_TYPE'],
      ];
      for (const [body, code] of bodies) {
        const answer = await rig.call('/v1/models/m:predict', body);
        assert.is(answer.status, 400, String(body).slice(0, 40));
        assert.is(answer.json.code, code, String(body).slice(0, 40));
        assert.type(answer.json.error, 'string');
      }
      const tensor = { name: 'x', shape: [2, 2], datatype: 'FP32', data: [1, 2, 3] };
      const shape = await rig.call('/v2/models/m/infer', JSON.stringify({ inputs: [tensor] }));
      assert.is(shape.json.code, 'PL_BODY_SHAPE');
      assert.is(rig.model.calls.length, 0);
    }));

  test('neighbours of a bad body in the same turn are answered', () =>
    withRig({}, async (rig) => {
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          i % 4 === 0 ? rig.call('/v1/models/m:predict', '{"instances":[') : rig.predict(i),
        ),
      );
      for (const [i, answer] of answers.entries()) {
        if (i % 4 === 0) assert.is(answer.status, 400);
        else assert.equal(answer.json, { predictions: [{ echo: i }] });
      }
    }));

  test('framing that HTTP forbids is refused on the connection', () =>
    withRig({}, async (rig) => {
      const head = 'POST /v1/models/m:predict HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\n';
      const cases = [
        `${head}content-length: 5\r\ncontent-length: 6\r\n\r\n{"a":1`,
        `${head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
        `${head}content-length: -1\r\n\r\n`,
        `${head}content-length: abc\r\n\r\n`,
        `${head}transfer-encoding: chunked\r\n\r\nzz\r\n`,
        'GARBAGE\r\n\r\n',
        'POST /v1/models/m:predict HTTP/1.1\r\nhost: m\r\nbad header\r\n\r\n',
      ];
      for (const bytes of cases) {
        const reply = await rig.raw(bytes);
        assert.match(reply, /^HTTP\/1\.1 400 /, JSON.stringify(bytes));
        assert.match(reply, /"code":"PL_HTTP_SYNTAX"/);
      }
      const large = await rig.raw(`GET / HTTP/1.1\r\nhost: m\r\nx: ${'a'.repeat(100_000)}\r\n\r\n`);
      assert.match(large, /^HTTP\/1\.1 431 /);
      assert.is((await rig.predict(1)).status, 200);
    }));

  test('a body that ends early or stalls is given up, and bytes are given back', () =>
    withRig({ 'body-timeout': '200ms' }, async (rig) => {
      const head = 'POST /v1/models/m:predict HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\n';
      const stalled = await rig.raw(`${head}content-length: 100\r\n\r\n{"instances"`, 3000);
      assert.match(stalled, /^HTTP\/1\.1 408 /);
      const socket = connect(rig.port, '127.0.0.1', () => socket.write(`${head}content-length: 100\r\n\r\n{"inst`));
      await new Promise((resolve) => setTimeout(resolve, 50));
      socket.destroy();
      await new Promise((resolve) => setTimeout(resolve, 50));
      const metrics = (await rig.admin('/metrics')).text;
      assert.match(metrics, /paceline_waiting_bytes 0\n/);
    }));

  test('percent escapes and odd targets are forwarded byte for byte', () =>
    withRig({}, async (rig) => {
      for (const path of [
        '/v1/models/%0d%0aset-cookie:x:predict',
        '/x%00%ff%zz%',
        '/v1/models/m%3Apredict?q=%0A',
        '/a/../b//c/./',
        '/v1/models/m:predict%20',
      ]) {
        const answer = await rig.call(path);
        assert.is(answer.status, 200);
        assert.is(answer.headers['x-seen-path'], path);
        assert.is(answer.headers['set-cookie'], undefined);
      }
      const escaped = await rig.call('/v1/models/a%2fb:predict', '{"instances":[1]}');
      assert.equal(escaped.json, { predictions: [{ echo: 1 }] });
      assert.match(await rig.raw('OPTIONS * HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n'), /PL_HTTP_TARGET/);
      assert.match(
        await rig.raw('GET http://elsewhere/x HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n'),
        /PL_HTTP_TARGET/,
      );
    }));

  test('unknown methods and paths are forwarded, and what the model says comes back', () =>
    withRig({}, async (rig) => {
      for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
        const answer = await rig.call('/anything', 'body', {}, method);
        assert.is(answer.headers['x-seen-method'], method);
        assert.is(answer.text, 'body');
      }
      assert.is((await rig.call('/v1/models/m:predict', undefined, {}, 'GET')).status, 200);
    }));

  test('a trace context that is none does not travel on, nor does its state', () =>
    withRig({}, async (rig) => {
      const state = { tracestate: 'vendor=1' };
      const valid = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
      for (const broken of ['00-1', '', `${valid}-more`, `ff${valid.slice(2)}`, undefined]) {
        rig.model.calls.length = 0;
        await rig.predict(1, broken === undefined ? state : { ...state, traceparent: broken });
        const { traceparent, tracestate } = rig.model.calls[0]?.headers ?? {};
        assert.equal([traceparent, tracestate], [undefined, undefined], broken);
      }
      rig.model.calls.length = 0;
      await rig.predict(1, { ...state, traceparent: valid });
      const { traceparent, tracestate } = rig.model.calls[0]?.headers ?? {};
      assert.equal([traceparent, tracestate], [valid, 'vendor=1']);
    }));

  test('a hint that makes no sense gets 400', () =>
    withRig({}, async (rig) => {
      for (const headers of [
        { 'paceline-timeout-ms': 'soon' },
        { 'paceline-timeout-ms': '-5' },
        { 'paceline-timeout-ms': '0' },
        { 'paceline-priority': '1.5' },
      ] as Record<string, string>[]) {
        const answer = await rig.predict(1, headers);
        assert.is(answer.status, 400);
        assert.is(answer.json.code, 'PL_HINT_VALUE');
      }
    }));

  test('small requests do not wait behind a stalled upload', () =>
    withRig({}, async (rig) => {
      const head = 'POST /v1/models/m:predict HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\n';
      const upload = connect(rig.port, '127.0.0.1', () =>
        upload.write(`${head}content-length: 4000000\r\n\r\n{"instances":[[${'1,'.repeat(100_000)}`),
      );
      upload.on('error', () => {});
      await rig.predict(0);
      for (let i = 0; i < 10; i++) {
        await Promise.all(
          Array.from({ length: 50 }, async (_, j) => {
            assert.equal((await rig.predict(i * 50 + j)).json, { predictions: [{ echo: i * 50 + j }] });
          }),
        );
      }
      assert.not(upload.destroyed, 'the upload is still there');
      upload.destroy();
    }));

  test('bounds: bytes, requests and items', async () => {
    const rig = await startRig({
      'max-waiting-bytes': '70KB',
      'max-waiting': '4',
      'max-batch-size': '1',
      'late-timeout': '5s',
    });
    try {
      rig.model.serial = true;
      rig.model.timeMs = () => 100;
      const big = JSON.stringify({ instances: ['x'.repeat(80_000)] });
      assert.is((await rig.call('/v1/models/m:predict', big)).json.code, 'PL_BYTES_FULL');
      const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => rig.predict(i)));
      const refused = answers.filter((answer) => answer.status === 503);
      assert.ok(refused.length > 10, `${refused.length} refused`);
      for (const answer of refused) {
        assert.match(String(answer.json.code), /^PL_(QUEUE_FULL|LATE_OVERFLOW)$/);
        assert.is(answer.headers['retry-after'], '1');
      }
      assert.ok(answers.some((answer) => answer.status === 200));
      const many = await rig.call('/v1/models/m:predict', '{"instances":[1,2,3]}');
      assert.equal(many.json, { predictions: [{ echo: 1 }, { echo: 2 }, { echo: 3 }] });
    } finally {
      await rig.stop();
    }
  });
});
