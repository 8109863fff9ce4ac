// The two ends of a companion under the contract: a model that answers as its protocol says, and callers.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';
import { type Rig, startRig } from '../support/companion.ts';
import type { Driver, Seen, Written } from './asked.ts';

/** A call as the model saw it. */
export interface ModelCall {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly seen: Seen;
  readonly body: Buffer;
}

/** What a caller got. `status` is that of the protocol: of HTTP, or of gRPC. */
export interface CallerAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** What was said about an error. */
  readonly message: string;
}

/** A model, a companion and a caller that speak one protocol over real sockets. */
export interface Edges {
  readonly rig: Rig;
  readonly calls: readonly ModelCall[];
  call(written: Written): Promise<CallerAnswer>;
  /** From now on the model takes calls and does not answer, until the returned function is called. */
  hold(): () => void;
  /** A status in the place of an answer, or undefined. */
  refuse: (call: ModelCall) => number | undefined;
}

/** What the model of either transport keeps: its calls, and those that it holds. */
export class Ledger {
  readonly calls: ModelCall[] = [];
  #held: (() => void)[] | undefined;

  hold(): () => void {
    this.#held = [];
    return () => {
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const go of held) go();
    };
  }

  note(call: ModelCall, answer: () => void): void {
    this.calls.push(call);
    if (this.#held) this.#held.push(answer);
    else answer();
  }
}

/** Nothing is late, however slow the machine is, and nothing waits longer than it must. */
export const unhurried = { slo: '20s', 'late-timeout': '60s', patience: '0' };

/** Runs a body between a model and a caller over HTTP/1.1. */
export async function withHttpEdges(
  driver: Driver,
  flags: Record<string, string>,
  body: (edges: Edges) => Promise<void>,
  name = 'm',
): Promise<void> {
  const ledger = new Ledger();
  const model = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const whole = Buffer.concat(chunks);
      const seen = driver.read(whole, jsonBytesOf(request.headers));
      const call = { url: request.url ?? '', headers: request.headers, seen, body: whole };
      ledger.note(call, () => answer(call, response));
    });
  });
  const answer = (call: ModelCall, response: ServerResponse) => {
    const refused = edges.refuse(call);
    if (refused !== undefined) {
      response.writeHead(refused, { 'content-type': 'application/json' });
      return void response.end('{"error":"the model refuses"}');
    }
    const reply = driver.answer(call.seen, name);
    response.writeHead(200, {
      'content-type': reply.jsonBytes === undefined ? 'application/json' : 'application/octet-stream',
      ...(reply.jsonBytes === undefined ? {} : { 'Inference-Header-Content-Length': reply.jsonBytes }),
    });
    response.end(reply.body);
  };
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
  const upstream = `http://127.0.0.1:${(model.address() as AddressInfo).port}`;
  const rig = await startRig({ upstream, ...unhurried, ...flags });
  const pool = new Pool(`http://127.0.0.1:${rig.port}`, { connections: 64, pipelining: 1 });
  const edges: Edges = {
    rig,
    calls: ledger.calls,
    refuse: () => undefined,
    hold: () => ledger.hold(),
    call: async ({ url, headers, body: sent, jsonBytes }) => {
      const extra = jsonBytes === undefined ? [] : ['Inference-Header-Content-Length', String(jsonBytes)];
      const known = headers.includes('content-type') ? [] : ['content-type', contentType(jsonBytes)];
      const got = await pool.request({
        path: url,
        method: 'POST',
        headers: [...headers, ...known, ...extra],
        body: sent,
      });
      const reply = Buffer.from(await got.body.arrayBuffer());
      return { status: got.statusCode, headers: got.headers, body: reply, message: reply.toString('latin1') };
    },
  };
  try {
    await body(edges);
  } finally {
    await pool.destroy();
    await rig.stop();
    model.closeAllConnections();
    await new Promise((resolve) => model.close(resolve));
  }
}

function contentType(jsonBytes: number | undefined): string {
  return jsonBytes === undefined ? 'application/json' : 'application/octet-stream';
}

/** Where the JSON ends in a body with these headers. */
export function jsonBytesOf(headers: Readonly<Record<string, unknown>>): number | undefined {
  const value = headers['inference-header-content-length'];
  return value === undefined ? undefined : Number(value);
}
