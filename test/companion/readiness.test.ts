import { createServer as createHttp, type RequestListener } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, createServer as createTcp, type Server } from 'node:net';
import * as assert from 'uvu/assert';
import { ModelReadiness } from '../../src/companion/pod/readiness.ts';
import { parseReadinessProbe } from '../../src/policy/readiness-probe.ts';
import { withRig } from '../support/companion.ts';
import { suite } from '../support/suite.ts';

const nowhere = new URL('http://127.0.0.1:9');

function readinessOf(probe: object | object[], upstream = nowhere): ModelReadiness {
  return new ModelReadiness(upstream, parseReadinessProbe(JSON.stringify(probe)), '/');
}

async function withServer(server: Server, run: (port: number) => Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await run((server.address() as AddressInfo).port);
  } finally {
    server.close();
  }
}

const withHttp = (serve: RequestListener, run: (port: number) => Promise<void>) => {
  const server = createHttp({ keepAliveTimeout: 1 }, serve);
  return withServer(server, async (port) => {
    try {
      await run(port);
    } finally {
      server.closeAllConnections();
    }
  });
};

suite('readiness of the model', (test) => {
  test('is not there while the model does not listen, is slow, or says no', async () => {
    assert.match((await readinessOf({ tcpSocket: { port: 9 }, periodSeconds: 1 }).ask()).reason, /does not accept/);
    assert.match((await readinessOf({ httpGet: { port: 9 }, periodSeconds: 1 }).ask()).reason, /does not answer/);
    assert.match((await readinessOf({ grpc: { port: 9 }, periodSeconds: 1 }).ask()).reason, /does not answer to gRPC/);
    await withHttp(
      (request, response) => {
        if (request.url === '/slow') return;
        response.writeHead(Number(request.url?.slice(1))).end();
      },
      async (port) => {
        const ask = (path: string) => readinessOf({ httpGet: { port, path }, periodSeconds: 1 }).ask();
        const from = performance.now();
        assert.not((await ask('/slow')).ready);
        assert.ok(performance.now() - from > 900, 'one second, as Kubernetes has it');
        for (const status of [400, 404, 405, 500, 503]) {
          const { ready, reason } = await ask(`/${status}`);
          assert.not(ready);
          assert.match(reason, new RegExp(`answered ${status} to /${status}`));
        }
        for (const status of [200, 204, 301, 399]) assert.ok((await ask(`/${status}`)).ready, `${status}`);
      },
    );
  });

  test('follows httpGet with its headers, from where queue-proxy would ask', () =>
    withHttp(
      (request, response) => {
        const { 'user-agent': agent, host, 'x-key': key } = request.headers;
        response.writeHead(agent === 'kube-probe/' && host === 'model' && key === 'k' ? 200 : 500).end();
      },
      async (port) => {
        const httpHeaders = [
          { name: 'Host', value: 'model' },
          { name: 'X-Key', value: 'k' },
        ];
        const upstream = new URL(`http://127.0.0.1:${port}`);
        assert.ok((await readinessOf({ httpGet: { port, path: '/', httpHeaders }, periodSeconds: 1 }).ask()).ready);
        assert.ok(
          (await readinessOf({ httpGet: { port: 'http', httpHeaders }, periodSeconds: 1 }, upstream).ask()).ready,
        );
        assert.not((await readinessOf({ httpGet: { port }, periodSeconds: 1 }).ask()).ready);
        assert.ok((await readinessOf({ tcpSocket: { port }, periodSeconds: 1 }).ask()).ready);
      },
    ));

  test('needs every one of several containers', () =>
    withServer(
      createTcp((socket) => socket.destroy()),
      async (port) => {
        const good = { tcpSocket: { port }, periodSeconds: 1 };
        assert.ok((await readinessOf([good, good]).ask()).ready);
        assert.not((await readinessOf([good, { tcpSocket: { port: 9 }, periodSeconds: 1 }]).ask()).ready);
      },
    ));

  test('asks a gRPC health service', async () => {
    const server = createHttp2();
    server.on('stream', (stream, headers) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const service = Buffer.concat(chunks).subarray(7).toString();
        const healthy = headers[':path'] === '/grpc.health.v1.Health/Check' && service !== 'sick';
        if (service === 'unknown') {
          stream.respond(
            { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5' },
            { endStream: true },
          );
          return;
        }
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(Buffer.from([0, 0, 0, 0, 2, 0x08, healthy ? 1 : 2]));
      });
    });
    await withServer(server as unknown as Server, async (port) => {
      assert.ok((await readinessOf({ grpc: { port }, periodSeconds: 1 }).ask()).ready);
      assert.ok((await readinessOf({ grpc: { port, service: 'fine' }, periodSeconds: 1 }).ask()).ready);
      assert.match(
        (await readinessOf({ grpc: { port, service: 'sick' }, periodSeconds: 1 }).ask()).reason,
        /not serve/,
      );
      assert.match(
        (await readinessOf({ grpc: { port, service: 'unknown' }, periodSeconds: 1 }).ask()).reason,
        /status 5/,
      );
    });
  });

  test('is asked once for all who ask at the same time', async () => {
    let asked = 0;
    await withHttp(
      (_request, response) => {
        asked++;
        setTimeout(() => response.end(), 50);
      },
      async (port) => {
        const readiness = readinessOf({ httpGet: { port }, periodSeconds: 1 });
        const answers = await Promise.all(Array.from({ length: 50 }, () => readiness.ask()));
        assert.ok(answers.every(({ ready }) => ready));
        assert.is(asked, 1);
        await readiness.ask();
        assert.is(asked, 2);
      },
    );
  });

  test('with a period of 0 one question waits until the model is ready, successes in a row', async () => {
    const from = performance.now();
    let asked = 0;
    await withHttp(
      (_request, response) => {
        asked++;
        response.writeHead(performance.now() - from < 400 || asked === 12 ? 503 : 200).end();
      },
      async (port) => {
        const { ready } = await readinessOf({ httpGet: { port }, successThreshold: 3 }).ask();
        const took = performance.now() - from;
        assert.ok(ready);
        assert.ok(took >= 500, `three successes, 50 ms apart, after 400 ms: ${took}`);
        assert.ok(took < 5000, `${took}`);
      },
    );
  });

  test('a companion is ready when its model is, and the probe that waits says so at once', () =>
    withRig({ 'readiness-probe': '{"tcpSocket":{"port":"model"}}' }, async (rig) => {
      const probe = { 'user-agent': 'kube-probe/1.33', 'k-network-probe': 'queue' };
      assert.is((await rig.call('/', undefined, probe)).status, 200);
      await rig.model.stop();
      let ended = 0;
      const waiting = rig.call('/', undefined, probe).then((answer) => {
        ended = performance.now();
        return answer;
      });
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.is(ended, 0, 'not ready before the model is');
      await rig.model.start(rig.modelPort);
      const started = performance.now();
      assert.is((await waiting).status, 200);
      assert.ok(ended - started < 1000, `${ended - started} ms after the model`);
    }));

  test('what must not be ready says why', () =>
    withRig(
      { 'readiness-probe': '' },
      async (rig) => {
        const probe = { 'user-agent': 'kube-probe/1.33', 'k-network-probe': 'queue' };
        const answer = await rig.call('/', undefined, probe);
        assert.is(answer.status, 503);
        assert.is(answer.text, 'do this instead\n');
        assert.is((await rig.admin('/readyz')).text, 'do this instead\n');
        assert.is((await rig.predict(1)).status, 200);
      },
      { unfit: 'do this instead' },
    ));
});
