import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import * as assert from 'uvu/assert';
import { CompanionProcess } from '../support/companion-process.ts';
import { suite } from '../support/suite.ts';

const connections = 200;
/** Of each head; the bound is 64 KB. */
const headBytes = 60_000;
/** Bytes that a connection with nothing to do may hold: what a request may that waits. */
const heldMax = 16_384;

/** Makes one request on a connection and leaves it open, with the status of the answer. */
function askAndStay(
  port: number,
  first: string,
  body: string,
  number: number,
): Promise<{ socket: Socket; status: string }> {
  const lines = [`host: m`, `content-length: ${body.length}`];
  // No two alike: strings that are equal could be one.
  for (let i = 0; i < headBytes / 1000; i++) lines.push(`x-${i}: ${`${number} ${i} `.padEnd(990, 'a')}`);
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${first}\r\n${lines.join('\r\n')}\r\n\r\n${body}`));
    socket.on('error', reject);
    socket.once('data', (chunk: Buffer) => resolve({ socket, status: chunk.toString('latin1', 9, 12) }));
  });
}

suite('connections with nothing to do', (test) => {
  for (const [what, first, body] of [
    ['what passes', 'GET /v2/models/m HTTP/1.1', ''],
    ['what is batched', 'POST /v1/models/m:predict HTTP/1.1', '{"instances":[1]}'],
  ] as const) {
    test(`hold nothing of their last request: ${what}`, async () => {
      const model = createServer({ maxHeaderSize: 131_072 }, (request, response) => {
        request.resume().on('end', () => response.end('{"predictions":[1]}'));
      });
      await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
      const upstream = `http://127.0.0.1:${(model.address() as AddressInfo).port}`;
      const companion = await CompanionProcess.start(['--upstream', upstream, '--slo', '20s', '--patience', '0']);
      const sockets: Socket[] = [];
      const ask = async (count: number) => {
        for (let i = 0; i < count; i++) {
          const { socket, status } = await askAndStay(companion.port, first, body, sockets.length);
          assert.is(status, '200');
          sockets.push(socket);
        }
        const { heapUsed, external } = await companion.state();
        return heapUsed + external;
      };
      try {
        // More than there are lanes, which may remember what keeps them apart.
        const before = await ask(300);
        const grown = (await ask(connections)) - before;
        assert.ok(grown < connections * heldMax, `${Math.round(grown / connections)} bytes a connection`);
      } finally {
        for (const socket of sockets) socket.destroy();
        companion.stop();
        model.closeAllConnections();
        await new Promise((resolve) => model.close(resolve));
      }
    });
  }
});
