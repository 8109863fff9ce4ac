import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Pool } from 'undici';
import { type HttpReply, readHttpReply } from '../support/http-reply.ts';
import type { ChaosAnswer } from './ledger.ts';
import { type ChaosRequest, httpHeadersOf } from './requests.ts';

/** Ways in which a caller over HTTP/1.1 behaves. Those who leave may get nothing; all others get their answer. */
export const httpManners = [
  'reads-slowly',
  'writes-slowly',
  'half-closes',
  'leaves-mid-body',
  'leaves-waiting',
  'speaks-nonsense',
] as const;
export type HttpManner = (typeof httpManners)[number];

/** A call as most callers make it. */
export async function callHttp(pool: Pool, { written }: ChaosRequest): Promise<ChaosAnswer> {
  const { statusCode, headers, body } = await pool.request({
    path: written.url,
    method: 'POST',
    headers: httpHeadersOf(written),
    body: written.body,
  });
  const bytes = Buffer.from(await body.arrayBuffer());
  return answerOf(statusCode, headers as Record<string, string>, bytes);
}

function answerOf(status: number, headers: Readonly<Record<string, string>>, body: Buffer): ChaosAnswer {
  return {
    status,
    body,
    message: '',
    requestId: headers['x-request-id'],
    jsonBytes: headers['inference-header-content-length'],
  };
}

/**
 * A call on a connection of its own by a caller of these manners. Undefined where it got no whole answer.
 *
 * @param pauseMs how long it waits where it waits
 * @throws where what came back is no HTTP, or more than one answer.
 */
export async function misbehaveOverHttp(
  port: number,
  manner: HttpManner,
  { written }: ChaosRequest,
  pauseMs: number,
): Promise<ChaosAnswer | undefined> {
  const pairs = httpHeadersOf(written);
  const lines = pairs.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${pairs[i + 1]}\r\n`] : []));
  const head = Buffer.from(
    `POST ${written.url} HTTP/1.1\r\n${lines.join('')}content-length: ${written.body.length}\r\n\r\n`,
  );
  const half = written.body.length >> 1;
  const socket = connect(port, '127.0.0.1');
  const seen = collect(socket, manner === 'half-closes' || manner.startsWith('leaves') || manner === 'speaks-nonsense');
  await once(socket, 'connect');
  switch (manner) {
    case 'reads-slowly':
      socket.pause();
      socket.write(Buffer.concat([head, written.body]));
      await pause(pauseMs);
      socket.resume();
      break;
    case 'writes-slowly':
      socket.write(head);
      await pause(pauseMs / 2);
      socket.write(written.body.subarray(0, half));
      await pause(pauseMs / 2);
      socket.write(written.body.subarray(half));
      break;
    case 'half-closes':
      socket.end(Buffer.concat([head, written.body]));
      break;
    case 'leaves-mid-body':
      socket.write(Buffer.concat([head, written.body.subarray(0, half)]));
      await pause(pauseMs / 10);
      socket.destroy();
      break;
    case 'leaves-waiting':
      socket.write(Buffer.concat([head, written.body]));
      await pause(pauseMs / 10);
      socket.destroy();
      break;
    default:
      socket.write(nonsense[Math.floor(pauseMs) % nonsense.length] as string);
      await pause(pauseMs / 10);
      socket.destroy();
  }
  const reply = await seen;
  return reply && answerOf(reply.status, reply.headers, reply.body);
}

const nonsense = [
  'GET / HTTP/1.1\r\nho',
  'nonsense\r\n\r\n',
  'POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{"ins',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\u0000\u0000\u0010',
  '\u0016\u0003\u0001\u0002\u0000\u0001\u0000',
];

/** The one answer on a connection, which is closed behind it. */
function collect(socket: Socket, mayEndEarly: boolean): Promise<HttpReply | undefined> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      try {
        const reply = readHttpReply(bytes);
        if (!reply) return;
        if (reply.length !== bytes.length) throw new Error(`${bytes.length - reply.length} bytes behind the answer`);
        resolve(reply);
      } catch (error) {
        reject(error);
      }
      socket.destroy();
    });
    socket.on('close', () => {
      if (mayEndEarly) resolve(undefined);
      else reject(new Error(`the connection was closed after ${JSON.stringify(bytes.toString('latin1', 0, 200))}`));
    });
  });
}

function once(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve) => {
    socket.once(event, () => resolve());
    socket.once('close', () => resolve());
  });
}
