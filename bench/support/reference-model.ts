// The reference model of the figures over real sockets: BASE + SLOPE x items ms asleep, 413 above MAX items, SLOTS calls at a
// time in the order in which they come (1: serial).
//
//   node --import tsx bench/support/reference-model.ts BASE SLOPE MAX SLOTS
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const [base = 20, slope = 1, max = 32, slots = 1] = process.argv.slice(2).map(Number);
const stats = { calls: 0, items: 0, busyMs: 0 };
const prediction = '[0.125,0.25,0.0625,0.5,0.001,0.002,0.003,0.004,0.005,0.006]';
const separator = Buffer.from('],[');
const busyUntil = new Array<number>(slots).fill(0);

/** Rows of `{"instances":[[..],[..]]}`: this model does no more work on a body than it must. */
function rowsOf(body: Buffer): number {
  let rows = 1;
  for (let at = body.indexOf(separator); at >= 0; at = body.indexOf(separator, at + 3)) rows++;
  return rows;
}

const server = createServer({ keepAliveTimeout: 75_000, noDelay: true }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.url === '/stats') {
      response.end(JSON.stringify(stats));
      return;
    }
    if (request.method === 'GET') {
      response.end('{"ready":true}');
      return;
    }
    const items = rowsOf(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
    if (items > max) {
      response.writeHead(413, { 'content-type': 'application/json' });
      response.end('{"error":"too many instances"}');
      return;
    }
    const now = performance.now();
    const ms = base + slope * items;
    const slot = busyUntil.indexOf(Math.min(...busyUntil));
    const until = Math.max(now, busyUntil[slot] as number) + ms;
    busyUntil[slot] = until;
    stats.calls++;
    stats.items += items;
    stats.busyMs += ms;
    const reply = `{"predictions":[${Array(items).fill(prediction).join(',')}]}`;
    const answer = () => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': reply.length });
      response.end(reply);
    };
    if (ms === 0) answer();
    else waitUntil(until, answer);
  });
});

/** Timers count whole milliseconds; the rest is waited for in turns of the event loop. */
function waitUntil(at: number, then: () => void): void {
  const left = at - performance.now();
  if (left <= 0) then();
  else if (left > 1.5) setTimeout(() => waitUntil(at, then), Math.floor(left - 1));
  else setImmediate(() => waitUntil(at, then));
}

server.listen(0, '127.0.0.1', () => console.log(`model ready on ${(server.address() as AddressInfo).port}`));
process.on('SIGTERM', () => process.exit(0));
process.on('disconnect', () => process.exit(0));
