import { Pool } from 'undici';
import { Random } from '../../src/simulator/random.ts';
import type { Seen } from '../contract/asked.ts';
import { CompanionProcess } from '../support/companion-process.ts';
import { type FaultName, FaultPlan, faultNames, faultOf } from '../support/faults/fault-model.ts';
import { type FaultyCall, FaultyUpstream } from '../support/faults/faulty-upstream.ts';
import { callHttp, httpManners, misbehaveOverHttp } from './http-callers.ts';
import { callOverHttp2, Http2Connections, http2Manners, misbehaveOverHttp2 } from './http2-callers.ts';
import { type ChaosAnswer, Ledger } from './ledger.ts';
import { type ChaosRequest, driverOfCall, isPoison, laneHeader, replyTo, requestOf } from './requests.ts';

/** When a request gets 504, whatever the model does; ms. */
export const hardMs = 4000;
const sloMs = 500;
const modelMs = 2;
const http2Connections = 4;

/** How wild it is. */
export interface ChaosSettings {
  readonly callers: number;
  /** Of calls to the model that go wrong. */
  readonly faultShare: number;
  readonly faults: readonly FaultName[];
  /** Of callers that do not behave. */
  readonly mannerShare: number;
  /** Hears of calls at the model that nobody of the callers made. */
  readonly stray: ((call: FaultyCall) => void) | undefined;
  /** Hears of what came to the model and is neither HTTP/1.1 nor HTTP/2. */
  readonly malformed: ((error: Error) => void) | undefined;
}

const usual: ChaosSettings = {
  faults: faultNames,
  callers: 96,
  faultShare: 0.04,
  mannerShare: 0.03,
  stray: undefined,
  malformed: undefined,
};

/** Flags of a companion that this load is for. */
export const chaosFlags = ['--slo', `${sloMs}ms`, '--late-timeout', `${hardMs}ms`] as const;

/** A model that fails, callers that misbehave, and a ledger of what follows from it. All of it follows from a seed and the clock. */
export class Chaos {
  readonly ledger = new Ledger(hardMs);
  readonly upstream: FaultyUpstream;
  /** Requests that were begun, and that ended. */
  begun = 0;
  ended = 0;
  /**
   * Whether replies over gRPC may be such that they cannot be split. When some lanes of a model have had such replies, all of its
   * batches are few for long.
   */
  unsplittableOverGrpc = true;
  readonly #random: Random;
  readonly #seen = new WeakMap<FaultyCall, Seen>();

  readonly #settings: ChaosSettings;

  constructor(seed: number, settings: Partial<ChaosSettings> = {}) {
    this.#settings = { ...usual, ...settings };
    const plan = new FaultPlan(seed, this.#settings.faultShare, this.#settings.faults);
    this.#random = new Random(seed + 1);
    const { ledger } = this;
    this.upstream = new FaultyUpstream(
      {
        atHead: (transport) => plan.atHead(transport),
        fault: (call) => this.#executed(call, plan.next(call.transport)),
        reply: (call, fault) => this.#reply(call, fault),
        closed: (transport, calls) => ledger.closed(transport, calls),
        refused: (headers) => ledger.refused(String(headers[laneHeader])),
        malformed: (error) => {
          if (this.#settings.malformed) this.#settings.malformed(error);
          else ledger.blame(`the model got what is not well-formed: ${error}`);
        },
      },
      modelMs,
    );
  }

  /** Calls until `more` says no, and waits for the last answer. */
  async callWhile(companion: CompanionProcess, more: (begun: number) => boolean): Promise<void> {
    const pool = new Pool(`http://127.0.0.1:${companion.port}`, {
      connections: this.#settings.callers,
      pipelining: 1,
      headersTimeout: 3 * hardMs,
      bodyTimeout: 3 * hardMs,
    });
    const connections = new Http2Connections(companion.port, http2Connections);
    const caller = async () => {
      while (more(this.begun) && !companion.gone) {
        const request = requestOf(this.begun++);
        await this.#call(companion.port, pool, connections, request);
        this.ended++;
      }
    };
    await Promise.all(Array.from({ length: this.#settings.callers }, caller));
    await pool.destroy();
    connections.close();
    if (companion.gone) this.ledger.blame(companion.gone);
  }

  async #call(port: number, pool: Pool, connections: Http2Connections, request: ChaosRequest): Promise<void> {
    const sentAt = performance.now();
    const misbehaves = this.#random.uniform() < this.#settings.mannerShare;
    const [which, waits] = [this.#random.uniform(), 10 + 90 * this.#random.uniform()];
    let how = 'as most do';
    try {
      let answer: ChaosAnswer | undefined;
      if (request.overHttp2) {
        const manner = http2Manners[Math.floor(which * http2Manners.length)] as (typeof http2Manners)[number];
        if (misbehaves) how = manner;
        answer = await (misbehaves
          ? misbehaveOverHttp2(port, connections.next(), manner, request, waits)
          : callOverHttp2(connections.next(), request));
      } else {
        const manner = httpManners[Math.floor(which * httpManners.length)] as (typeof httpManners)[number];
        if (misbehaves) how = manner;
        answer = await (misbehaves ? misbehaveOverHttp(port, manner, request, waits) : callHttp(pool, request));
      }
      if (!answer) return this.ledger.left(request);
      if (how === 'speaks-nonsense') return this.ledger.left(request);
      this.ledger.explain(request, answer, sentAt, performance.now());
    } catch (error) {
      this.ledger.blame(`request ${request.id} (${request.driver.name}, ${how}) got no answer: ${error}`);
    }
  }

  /** Notes a call that came whole, and what is to go wrong with it. */
  #executed(call: FaultyCall, drawn: FaultName): FaultName {
    const lane = call.headers[laneHeader];
    if (lane === undefined) {
      if (this.#settings.stray) this.#settings.stray(call);
      else this.ledger.blame(`nobody asked for ${call.url} at the model`);
      return 'ok';
    }
    const { driver, seen } = seenIn(call);
    this.#seen.set(call, seen);
    const poisoned = seen.rows.some(([id]) => isPoison(id as number));
    const spared = !this.unsplittableOverGrpc && call.transport === 'grpc' && faultOf(drawn).effect === 'unsplittable';
    const fault = poisoned ? 'status-500' : spared ? 'ok' : drawn;
    this.ledger.executed(call, seen.rows, fault);
    if (!String(lane).startsWith(driver.name)) this.ledger.blame(`a call of ${driver.name} bears the lane ${lane}`);
    return fault;
  }

  #reply(call: FaultyCall, fault: FaultName) {
    const seen = this.#seen.get(call);
    if (!seen) return { headers: { 'content-type': 'application/json' }, body: Buffer.from('{}') };
    return replyTo(driverOfCall(call), seen, fault);
  }
}

/** Runs a body against a companion of its own in front of this model, and stops both whatever happens. */
export async function againstCompanion(
  chaos: Chaos,
  flags: readonly string[],
  body: (companion: CompanionProcess) => Promise<void>,
): Promise<void> {
  const upstream = `http://127.0.0.1:${await chaos.upstream.start()}`;
  try {
    const companion = await CompanionProcess.start(['--upstream', upstream, ...chaosFlags, ...flags]);
    try {
      await body(companion);
    } finally {
      companion.stop();
    }
  } finally {
    await chaos.upstream.stop();
  }
}

function seenIn(call: FaultyCall) {
  const { headers, body, transport } = call;
  const length = headers['inference-header-content-length'];
  const jsonBytes = length === undefined ? undefined : Number(length);
  const driver = driverOfCall(call);
  return { driver, seen: driver.read(transport === 'grpc' ? body.subarray(5) : body, jsonBytes) };
}

/** What must be true at the end, beside the ledger: every execution after the first one was announced, and nothing is left. */
export async function wrongAtTheEnd(companion: CompanionProcess, { ledger }: Chaos): Promise<string[]> {
  const page = await companion.page('/metrics');
  const metric = (line: string) => Number(new RegExp(`^${line} (\\S+)$`, 'm').exec(page)?.[1] ?? 0);
  const resent = (why: string) => metric(`paceline_upstream_resends_total\\{why="${why}"\\}`);
  const { counts } = ledger;
  const wrong: string[] = [];
  const expect = (holds: boolean, what: string) => {
    if (!holds) wrong.push(what);
  };
  const parts = resent('bisect') + resent('halve') + resent('alone');
  expect(counts.halves <= parts, `${counts.halves} parts of refused batches were not all announced`);
  expect(counts.singles <= resent('unsplittable'), `${counts.singles} requests alone were not all announced`);
  expect(counts.retries <= resent('dead-connection'), `${counts.retries} retries were not all announced`);
  for (const gauge of ['waiting_bytes', 'waiting_requests', 'in_flight_batches']) {
    expect(metric(`paceline_${gauge}`) === 0, `paceline_${gauge} is ${metric(`paceline_${gauge}`)} at the end`);
  }
  expect(metric('paceline_kernel_traps_total') === 0, 'a kernel has trapped');
  return wrong;
}
