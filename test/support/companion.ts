import { connect } from 'node:net';
import { Pool } from 'undici';
import { Companion, type CompanionParts } from '../../src/companion/companion.ts';
import { resolveCompanionOptions } from '../../src/policy/companion-options.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { ModelServer } from './model-server.ts';

/** What a caller got. */
export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

/** A companion in front of a model, both over real sockets, and a client. */
export interface Rig {
  readonly model: ModelServer;
  readonly companion: Companion;
  readonly port: number;
  readonly adminPort: number;
  readonly modelPort: number;
  call(path: string, body?: string | Buffer, headers?: Record<string, string>, method?: string): Promise<Answer>;
  predict(value: unknown, headers?: Record<string, string>): Promise<Answer>;
  admin(path: string, headers?: Record<string, string>): Promise<Answer>;
  /** Sends bytes as they are and returns all that comes back until the connection closes or `ms` pass. */
  raw(bytes: string | Buffer, ms?: number): Promise<string>;
  stop(): Promise<void>;
}

/** Starts a rig. Flags as on the command line; the SLO is 200 ms if nothing is said. */
export async function startRig(flags: Record<string, string> = {}, parts: Partial<CompanionParts> = {}): Promise<Rig> {
  const model = new ModelServer();
  const modelPort = await model.start();
  const options = resolveCompanionOptions(
    {
      port: '0',
      'admin-port': '0',
      host: '127.0.0.1',
      slo: '200ms',
      'drain-quiet': '0s',
      upstream: `http://127.0.0.1:${modelPort}`,
      ...flags,
    },
    {},
  );
  const companion = new Companion(options, { log: createLog('silent'), ...parts });
  const { port, adminPort } = await companion.start();
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 512, pipelining: 1, bodyTimeout: 60_000 });
  const call: Rig['call'] = async (path, body, headers = {}, method = body === undefined ? 'GET' : 'POST') => {
    const answer = await pool.request({
      path,
      method: method as 'POST',
      headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
      body: body ?? null,
    });
    return readAnswer(answer.statusCode, answer.headers, await answer.body.text());
  };
  return {
    model,
    companion,
    port,
    adminPort,
    modelPort,
    call,
    predict: (value, headers) => call('/v1/models/m:predict', JSON.stringify({ instances: [value] }), headers),
    admin: async (path, headers = {}) => {
      const answer = await fetch(`http://127.0.0.1:${adminPort}${path}`, { headers });
      return readAnswer(answer.status, Object.fromEntries(answer.headers), await answer.text());
    },
    raw: (bytes, ms = 2000) => rawCall(port, bytes, ms),
    stop: async () => {
      await pool.destroy();
      await companion.stop();
      await model.stop();
    },
  };
}

/** Runs a body with a rig and stops it whatever happens. */
export async function withRig(
  flags: Record<string, string>,
  body: (rig: Rig) => Promise<void>,
  parts: Partial<CompanionParts> = {},
): Promise<void> {
  const rig = await startRig(flags, parts);
  try {
    await body(rig);
  } finally {
    await rig.stop();
  }
}

/**
 * Holds the model until all of these requests are at it or wait, so that most of them become one batch. Waits two seconds
 * at most for that: some may have been refused.
 */
export async function together<T>(rig: Rig, make: () => Promise<T>[]): Promise<T[]> {
  for (let i = 0; i < 12; i++) await rig.predict('warm');
  rig.model.serial = true;
  const release = rig.model.hold();
  const holders = [rig.predict('hold'), rig.predict('hold')];
  const calls = make();
  const all = holders.length + calls.length;
  for (let i = 0; i < 1000 && rig.model.heldItems + rig.companion.scheduler.waiting < all; i++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  release();
  const answers = await Promise.all(calls);
  await Promise.all(holders);
  return answers;
}

function readAnswer(status: number, headers: Answer['headers'], text: string): Answer {
  let json: Record<string, unknown> = {};
  try {
    json = JSON.parse(text);
  } catch {}
  return { status, headers, text, json };
}

function rawCall(port: number, bytes: string | Buffer, ms: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let seen = '';
    const end = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(seen);
    };
    const timer = setTimeout(end, ms);
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1');
    });
    socket.on('end', end);
    socket.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? end() : reject(error)));
  });
}
