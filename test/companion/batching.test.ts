import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import * as assert from 'uvu/assert';
import { type Rig, withRig } from '../support/companion.ts';
import { suite } from '../support/suite.ts';

async function burst(rig: Rig, count: number, make: (i: number) => Promise<unknown>): Promise<void> {
  await rig.predict(-1);
  await Promise.all(Array.from({ length: count }, (_, i) => make(i)));
}

/** Nobody is told 504, however slow the machine is. */
const patient = { 'late-timeout': '60s' };

suite('companion: batching', (test) => {
  test('each caller gets its own part, and calls are fewer than requests', () =>
    withRig(patient, async (rig) => {
      rig.model.serial = true;
      rig.model.timeMs = (items) => 5 + items;
      await burst(rig, 200, async (i) => {
        const answer = await rig.predict({ i });
        assert.equal(answer.json, { predictions: [{ echo: { i } }] });
        assert.match(
          String(answer.headers['server-timing']),
          /queue;dur=[\d.]+, wait;dur=[\d.]+, exec;dur=[\d.]+, batch;desc="\d+"/,
        );
      });
      assert.ok(rig.model.calls.length < 100, `${rig.model.calls.length} calls`);
    }));

  test('numbers and strings keep their bytes', () =>
    withRig(patient, async (rig) => {
      const texts = ['9007199254740993', '1.0', '1e400', '"\\u0041\\n"', '-0', '{"a":[1,  2]}'];
      await burst(rig, 60, async (i) => {
        await rig.call('/v1/models/m:predict', `{"instances": [ ${texts[i % texts.length]} ]}`);
      });
      const seen = rig.model.calls.map((call) => call.body).join('');
      for (const text of texts) assert.ok(seen.includes(text), text);
    }));

  test('bodies and replies that are written in slices arrive whole', () =>
    withRig(patient, async (rig) => {
      rig.model.serial = true;
      rig.model.timeMs = () => 10;
      await burst(rig, 40, async (i) => {
        const value = `${i}-`.padEnd(30_000 + 997 * i, 'abcdefg');
        const answer = await rig.predict(value);
        assert.equal(answer.json, { predictions: [{ echo: value }] });
        assert.is(Number(answer.headers['content-length']), Buffer.byteLength(answer.text));
      });
      assert.ok(rig.model.calls.length < 30, `${rig.model.calls.length} calls`);
      for (const call of rig.model.calls)
        assert.is(Number(call.headers['content-length']), Buffer.byteLength(call.body));
    }));

  test('V2 tensors: ids come back, counts and data are each caller’s', () =>
    withRig(patient, async (rig) => {
      rig.model.serial = true;
      rig.model.timeMs = () => 10;
      await burst(rig, 80, async (i) => {
        const rows = 1 + (i % 3);
        const data = Array.from({ length: rows * 2 }, (_, j) => i * 10 + j);
        const body = { id: `id-${i}`, inputs: [{ name: 'x', shape: [rows, 2], datatype: 'INT64', data }] };
        const answer = await rig.call('/v2/models/m/infer', JSON.stringify(body));
        assert.is(answer.status, 200, answer.text);
        assert.is(answer.json.id, `id-${i}`);
        assert.equal(answer.json.outputs, [{ name: 'out', datatype: 'INT64', shape: [rows, 2], data }]);
      });
      assert.ok(rig.model.calls.length < 40, `${rig.model.calls.length} calls`);
    }));

  test('what differs in path, query, fields or headers never shares a batch', () =>
    withRig(patient, async (rig) => {
      rig.model.serial = true;
      rig.model.timeMs = () => 3;
      await burst(rig, 160, async (i) => {
        const kind = i % 5;
        const path =
          kind === 0 ? '/v1/models/a:predict' : kind === 1 ? '/v1/models/a:predict?x=1' : '/v1/models/b:predict';
        const body = kind === 2 ? { instances: [i], mode: 'fast' } : { instances: [i] };
        const headers: Record<string, string> = kind === 3 ? { authorization: 'Bearer one' } : {};
        const answer = await rig.call(path, JSON.stringify(body), headers);
        assert.equal(answer.json, { predictions: [{ echo: i }] });
      });
      for (const call of rig.model.calls.slice(1)) {
        const kinds = new Set(call.items.map((item) => (item as number) % 5));
        assert.is(kinds.size, 1, `mixed ${[...kinds]}`);
        if (kinds.has(3)) assert.is(call.headers.authorization, 'Bearer one');
        else assert.is(call.headers.authorization, undefined);
        if (kinds.has(2)) assert.is(JSON.parse(call.body).mode, 'fast');
      }
    }));

  test('share-across-headers lets callers share, and names the header that splits otherwise', async () => {
    const send = (rig: Rig) => burst(rig, 60, (i) => rig.predict(i, { 'x-user': `u${i % 20}` }));
    await withRig({ 'share-across-headers': 'x-user' }, async (rig) => {
      rig.model.timeMs = () => 5;
      await send(rig);
      assert.ok(rig.model.calls.length < 30, `${rig.model.calls.length} calls`);
      assert.ok(rig.model.calls.every((call) => call.items.length === 1 || call.headers['x-user'] === undefined));
    });
    await withRig(patient, async (rig) => {
      await send(rig);
      const signals = (await rig.admin('/signals')).json as { mostSplittingHeader: { name: string } };
      assert.is(signals.mostSplittingHeader.name, 'x-user');
    });
  });

  test('neutral headers do not split lanes', () =>
    withRig(patient, async (rig) => {
      await burst(rig, 50, (i) =>
        rig.predict(i, { 'x-request-id': `r${i}`, traceparent: `00-${i}`, 'user-agent': `a${i}` }),
      );
      assert.is((await rig.admin('/signals')).json.lanesTotal, 1);
    }));

  test('h2c and HTTP/1.1 on one port', () =>
    withRig(patient, async (rig) => {
      const session = connectHttp2(`http://127.0.0.1:${rig.port}`);
      const one = (i: number) =>
        new Promise<string>((resolve, reject) => {
          const stream = session.request({
            ':method': 'POST',
            ':path': '/v1/models/m:predict',
            'content-type': 'application/json',
          });
          let text = '';
          stream.on('data', (chunk) => {
            text += chunk;
          });
          stream.on('end', () => resolve(text));
          stream.on('error', reject);
          stream.end(`{"instances":[${i}]}`);
        });
      const texts = await Promise.all(Array.from({ length: 30 }, (_, i) => one(i)));
      for (const [i, text] of texts.entries()) assert.equal(JSON.parse(text), { predictions: [{ echo: i }] });
      session.close();
      assert.is((await rig.predict(1)).status, 200);
    }));

  test('everything else streams through: large bodies, chunks as they come, upgrades', () =>
    withRig(patient, async (rig) => {
      const large = JSON.stringify({ instances: ['x'.repeat(5_000_000)] });
      const answer = await rig.call('/v1/models/m:predict', large);
      assert.equal(answer.json, { predictions: [{ echo: 'x'.repeat(5_000_000) }] });
      const explain = await rig.call('/v1/models/m:explain', '{"instances":[1]}');
      assert.is(explain.text, '{"instances":[1]}');
      const chunked = await rig.raw(
        `POST /v1/models/m:predict HTTP/1.1\r\nhost: m\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n11\r\n{"instances":[1,2\r\n2\r\n]}\r\n0\r\n\r\n`,
      );
      assert.match(chunked, /\{"predictions":\[\{"echo":1\},\{"echo":2\}\]\}/);
    }));

  test('a WebSocket upgrade is connected with the model', () =>
    withRig(patient, async (rig) => {
      const { createServer } = await import('node:net');
      const peer = createServer((socket) => {
        socket.once('data', (head) => {
          assert.match(head.toString(), /^GET \/ws HTTP\/1\.1\r\n/);
          socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n');
          socket.pipe(socket);
        });
        socket.on('error', () => {});
      });
      await rig.model.stop();
      await new Promise<void>((resolve) => peer.listen(rig.modelPort, '127.0.0.1', resolve));
      const socket = connect(rig.port, '127.0.0.1');
      let seen = '';
      socket.on('data', (chunk) => {
        seen += chunk;
      });
      socket.write('GET /ws HTTP/1.1\r\nhost: m\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
      await until(() => seen.includes('101'));
      socket.write('ping over the wire');
      await until(() => seen.endsWith('ping over the wire'));
      socket.destroy();
      await new Promise((resolve) => peer.close(resolve));
      await rig.model.start();
    }));

  test('a caller that leaves is not served, and its neighbours are', () =>
    withRig({ 'max-batch-size': '4' }, async (rig) => {
      rig.model.serial = true;
      rig.model.timeMs = () => 60;
      await rig.predict(0);
      const busy = [rig.predict(1), rig.predict(2)];
      await new Promise((resolve) => setTimeout(resolve, 10));
      const leaver = connect(rig.port, '127.0.0.1');
      leaver.write(
        'POST /v1/models/m:predict HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\ncontent-length: 21\r\n\r\n{"instances":["bye"]}',
      );
      await new Promise((resolve) => setTimeout(resolve, 10));
      leaver.destroy();
      const stays = rig.predict('stays');
      await Promise.all(busy);
      assert.equal((await stays).json, { predictions: [{ echo: 'stays' }] });
      assert.not.ok(rig.model.calls.some((call) => call.items.includes('bye')));
      assert.match((await rig.admin('/metrics')).text, /outcome="left",reason="none"\} 1/);
    }));
});

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > end) throw new Error('waited five seconds in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
