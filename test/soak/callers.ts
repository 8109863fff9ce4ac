import { connect } from 'node:net';
import { Pool } from '../../src/companion/http-client.ts';
import { timedCall } from '../../src/load/timed-call.ts';
import type { Random } from '../../src/simulator/random.ts';

/** Requests that are open at once. */
const callers = 48;
/** Lanes of one round; each round has its own, so that tables of lanes turn over. */
const lanes = 6;

/** Callers of every kind, for so long: sound and broken bodies, those who leave, and those who speak no HTTP. Counts statuses. */
export async function callFor(
  seconds: number,
  round: number,
  port: number,
  random: Random,
  statuses: Map<number, number>,
): Promise<void> {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: callers, pipelining: 1 });
  const until = performance.now() + seconds * 1000;
  const caller = async () => {
    while (performance.now() < until) {
      const kind = random.uniform();
      if (kind < 0.02) await breakOff(port, random);
      else {
        const { status } = await timedCall(pool, requestOf(kind, round, random));
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  await pool.destroy();
}

function requestOf(kind: number, round: number, random: Random) {
  const lane = Math.floor(random.uniform() * lanes);
  const number = Math.floor(random.uniform() * 1e9);
  const call = {
    path: `/v1/models/m${round % 40}-${lane}:predict`,
    headers: ['content-type', 'application/json'],
    intended: performance.now(),
    // Some give up long before the model answers.
    timeoutMs: kind < 0.06 ? 3 : 5000,
  };
  if (kind < 0.08) return { ...call, body: '{"instances":[' };
  if (kind < 0.1) return { ...call, path: `/else/${number}`, body: 'x'.repeat(20_000) };
  if (kind < 0.11) return { ...call, body: JSON.stringify({ instances: ['y'.repeat(200_000)] }) };
  if (kind < 0.4) {
    const data = [number, number];
    const inputs = [{ name: 'a', datatype: 'INT64', shape: [1, 2], data }];
    return { ...call, path: `/v2/models/m${lane}/infer`, body: JSON.stringify({ inputs }) };
  }
  return { ...call, body: JSON.stringify({ instances: Array.from({ length: 1 + (number % 3) }, () => `${number}`) }) };
}

/** A connection that ends in the middle of something. */
function breakOff(port: number, random: Random): Promise<void> {
  const kinds = [
    'GET / HTTP/1.1\r\nho',
    'nonsense\r\n\r\n',
    'POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{"ins',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  ];
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(kinds[Math.floor(random.uniform() * kinds.length)] as string);
      setTimeout(() => socket.destroy(), 5);
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve());
  });
}
