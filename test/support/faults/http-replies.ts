import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type FaultName, type FaultyReply, faultOf } from './fault-model.ts';

/** Pieces of a reply that dribbles, and the pause between two; ms. */
const pieces = 4;
const pauseMs = 2;
/** How long a connection is kept that is closed when nothing runs on it; ms. */
const idleMs = 3;

/** Answers a call over HTTP/1.1 as the fault says. `kill` ends the connection. */
export function replyOverHttp(fault: FaultName, reply: FaultyReply, response: ServerResponse, kill: () => void): void {
  const socket = response.socket as Socket;
  const { http: status = 200 } = faultOf(fault);
  const length = { 'content-length': String(reply.body.length) };
  const half = reply.body.subarray(0, reply.body.length >> 1);
  switch (fault) {
    case 'stall-before-reply':
      return;
    case 'stall-in-body':
      response.writeHead(200, { ...reply.headers, ...length });
      return void response.write(half);
    case 'kill-before-reply':
    case 'reset-before-reply':
      return kill();
    case 'kill-in-head':
      return void socket.write('HTTP/1.1 200 OK\r\ncontent-ty', kill);
    case 'kill-in-body':
    case 'reset-in-body':
      response.writeHead(200, { ...reply.headers, ...length });
      return void response.write(half, () => setImmediate(kill));
    case 'length-too-long':
      response.writeHead(200, { ...reply.headers, 'content-length': String(reply.body.length + 7) });
      return void response.write(reply.body, () => setImmediate(kill));
    case 'cut-in-chunk': {
      const head = Object.entries(reply.headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n${head.join('')}\r\n`);
      socket.write(`${reply.body.length.toString(16)}\r\n`);
      return void socket.write(reply.body, () => setImmediate(kill));
    }
    case 'garbage':
      return void socket.write('\u0000\u0001 what is this?\r\n\r\n', () => setImmediate(kill));
    case 'dribble':
      response.writeHead(200, { ...reply.headers, ...length });
      return dribble(reply.body, response);
    case 'say-more': {
      // In one write with what belongs there: a second answer that nobody asked for.
      const head = Object.entries({ ...reply.headers, ...length }).map(([name, value]) => `${name}: ${value}\r\n`);
      const whole = Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${head.join('')}\r\n`), reply.body]);
      const more = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{"predictions":[]}');
      return void socket.write(Buffer.concat([whole, more]), () => socket.end());
    }
    case 'interim-first':
      response.writeProcessing();
      break;
    case 'close-after':
      response.setHeader('connection', 'close');
      break;
    case 'close-when-idle':
      response.on('finish', () => setTimeout(kill, idleMs));
      break;
    default:
  }
  if (status !== 200) {
    response.writeHead(status, { 'content-type': 'application/json' });
    return void response.end(refusalOf(status));
  }
  response.writeHead(200, { ...reply.headers, ...length });
  response.end(reply.body);
}

/** What the model says with a status. */
export function refusalOf(status: number): string {
  return JSON.stringify({ detail: `the model says ${status}` });
}

function dribble(body: Buffer, response: ServerResponse): void {
  const size = Math.ceil(body.length / pieces) || 1;
  let at = 0;
  const next = () => {
    if (response.destroyed) return;
    if (at + size >= body.length) return void response.end(body.subarray(at));
    response.write(body.subarray(at, at + size));
    at += size;
    setTimeout(next, pauseMs);
  };
  next();
}
