import { createServer, type RequestListener, type Server } from 'node:http';
import * as assert from 'uvu/assert';
import { adminPort, callPod } from '../../../src/controller/signals/pod-call.ts';
import { suite } from '../../support/suite.ts';

/** An address that only this test listens on, so that the fixed port is free. */
const address = `127.${10 + (process.pid % 200)}.${(process.pid >> 8) % 250}.7`;
const get = { method: 'GET', path: '/signals', timeoutMs: 300 } as const;

async function answering(listener: RequestListener, ask: () => Promise<void>): Promise<void> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(adminPort, address, resolve));
  try {
    await ask();
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function refusal(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
  } catch (error) {
    return String(error);
  }
  throw new Error('not refused');
}

suite('a call to a companion', (test) => {
  test('goes to an address, never to a name', async () => {
    for (const name of ['localhost', 'metadata.internal', '127.0.0.1@evil', '']) {
      assert.match(await refusal(() => callPod(name, get)), /no address of a pod/);
    }
  });

  test('does not follow a redirect', async () => {
    let calls = 0;
    await answering(
      (_, response) => {
        calls++;
        response.writeHead(302, { location: `http://${address}:${adminPort}/elsewhere` }).end();
      },
      async () => assert.is((await callPod(address, get)).status, 302),
    );
    assert.is(calls, 1);
  });

  test('an answer that never ends is cut off by time, and one that is too long by size', async () => {
    await answering(
      (_, response) => {
        response.writeHead(200);
        const drip = setInterval(() => response.write('x'), 20);
        response.on('close', () => clearInterval(drip));
      },
      async () => assert.match(await refusal(() => callPod(address, get)), /no answer in 300 ms/),
    );
    await answering(
      (_, response) => response.end(Buffer.alloc(400_000)),
      async () => assert.match(await refusal(() => callPod(address, { ...get, timeoutMs: 5_000 })), /more than 262144/),
    );
  });

  test('nobody there is an error', async () => {
    assert.match(await refusal(() => callPod(address, get)), /ECONNREFUSED/);
  });

  test('puts a document', async () => {
    await answering(
      (request, response) => {
        let body = '';
        request.on('data', (chunk) => (body += chunk));
        request.on('end', () => response.end(`${request.method} ${request.url} ${body}`));
      },
      async () => {
        const answer = await callPod(address, { method: 'PUT', path: '/policy', body: 'signed', timeoutMs: 1_000 });
        assert.equal(answer, { status: 200, body: 'PUT /policy signed' });
      },
    );
  });
});
