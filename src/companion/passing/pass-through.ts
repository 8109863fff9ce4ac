import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AgeWatch } from '../answering/age-watch.ts';
import { endWithError } from '../answering/raw-answer.ts';
import { refuse } from '../answering/refusal.ts';
import type { ErrorCode } from '../errors.ts';
import type { Guard } from '../guard.ts';
import { hasBody, wasGivenUp } from '../http/body.ts';
import { CollectedBytes } from '../http/collected-bytes.ts';
import { isGrpc } from '../http/grpc-status.ts';
import { forwardHeaders, without } from '../http/headers.ts';
import type { Renaming } from '../http/variant-name.ts';
import type { Circuit, Entry } from '../upstream/circuit.ts';
import { absenceOf } from '../upstream/failure-codes.ts';
import { GuardedHandler } from '../upstream/guarded-handler.ts';
import { type Dispatcher, Pool } from '../upstream/http-client.ts';
import { Http2Upstream } from '../upstream/http2-upstream.ts';
import { connectMs, markingConnector, sendOnOwnConnection } from '../upstream/upstream.ts';
import { Http2Call } from './http2-call.ts';
import { Relay, type RelayOwner } from './relay.ts';
import { openTunnel, tunnelLimits } from './tunnel.ts';
import { Upload } from './upload.ts';

/** Methods whose calls may come twice (RFC 9110, 9.2.2). */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);
const wholeMax = 16_384;
/** A name can be changed only in a reply that is not encoded. */
const identity = ['accept-encoding', 'identity'];

/** Bounds of what passes. Times in ms. */
export interface PassLimits {
  /** How long a body may pause. */
  readonly idleMs: number;
  /** Of all that may be forwarded at once, so many are never bodies: health checks pass whatever uploads do. */
  readonly slotsWithout: number;
  /** As queue-proxy: how long a model may take to begin an answer, and be silent within it. */
  readonly modelSilentMs: number;
  /** How long a caller may take nothing of an answer that is there for it. */
  readonly callerStallsMs: number;
  /** How long the model may take to accept a connection. */
  readonly connectMs: number;
  /** How long nobody may say anything in a tunnel. */
  readonly tunnelIdleMs: number;
}

/** What all calls to one model share. */
export interface SharedTerms {
  readonly circuit: Circuit;
  /** A call goes to the model. */
  called(): void;
  /** Asks for a resend. */
  mayResend(): boolean;
  readonly guard: Guard;
}

/** Forwards whatever the companion does not batch, byte for byte, streaming both ways, bounded in number. */
export class PassThrough implements RelayOwner {
  readonly #upstream: URL;
  readonly #pool: Pool;
  readonly #max: number;
  readonly #limits: PassLimits;
  readonly #onEnd: (result: string) => void;
  readonly #http2: Http2Upstream;
  /** What has no answer yet. */
  readonly #open = new Set<{ refuse(code: ErrorCode): void }>();
  readonly #shared: SharedTerms;
  /** Those whose callers take nothing. */
  readonly #stalled: AgeWatch<Relay>;
  #active = 0;
  #withBody = 0;

  /** @param onEnd hears how each one ended: a status class, or a failure. */
  constructor(
    upstream: URL,
    max: number,
    onEnd: (result: string) => void,
    limits: Partial<PassLimits>,
    shared: SharedTerms,
  ) {
    this.#upstream = upstream;
    this.#max = max;
    this.#onEnd = onEnd;
    this.#shared = shared;
    this.#limits = {
      idleMs: 30_000,
      slotsWithout: Math.min(64, max >> 1),
      modelSilentMs: 300_000,
      callerStallsMs: 60_000,
      connectMs,
      tunnelIdleMs: tunnelLimits.idleMs,
      ...limits,
    };
    this.#stalled = new AgeWatch(this.#limits.callerStallsMs, (relay) => relay.refuse('PL_BODY_TIMEOUT'));
    this.#http2 = new Http2Upstream(upstream, max, undefined, this.#limits.connectMs);
    this.#pool = new Pool(upstream.origin, {
      connections: max,
      pipelining: 1,
      connect: markingConnector(this.#limits.connectMs),
      headersTimeout: this.#limits.modelSilentMs,
      bodyTimeout: this.#limits.modelSilentMs,
    });
  }

  get guard(): Guard {
    return this.#shared.guard;
  }

  get active(): number {
    return this.#active;
  }

  /**
   * Forwards one request; `body` where it has been read already. `renaming` changes a name in a reply that is JSON.
   *
   * @param onResult hears how it ended, as `onEnd` of all does
   */
  forward(
    request: IncomingMessage,
    response: ServerResponse,
    body?: Buffer,
    renaming?: Renaming,
    onResult?: (result: string) => void,
  ): void {
    const { guard } = this;
    const bodies = hasBody(request) ? 1 : 0;
    if (this.#active >= this.#max || this.#withBody + bodies > this.#max - this.#limits.slotsWithout)
      return this.#refuse(request, response, 'PL_PASS_FULL');
    const target = request.url ?? '';
    if (!target.startsWith('/')) return this.#refuse(request, response, 'PL_HTTP_TARGET');
    const entry = this.#enter(request);
    if (entry === 'refused') return this.#refuse(request, response, 'PL_CIRCUIT_OPEN', onResult);
    this.#active++;
    this.#withBody += bodies;
    const ended = (result: string, heard: boolean) => {
      this.#active--;
      this.#withBody -= bodies;
      this.#tellCircuit(result, heard, entry);
      this.#onEnd(result);
      onResult?.(result);
    };
    if (isGrpc(request) || (body === undefined && !renaming && this.#needsHttp2(request))) {
      const call = new Http2Call(request, response, this.#http2, guard, () => this.heard(), ended);
      this.#open.add(call);
      response.once('close', () => this.#open.delete(call));
      return call.start(body);
    }
    let idle: NodeJS.Timeout | undefined;
    const relay: Relay = new Relay(response, this, renaming, (result, heard) => {
      clearTimeout(idle);
      this.#open.delete(relay);
      ended(result, heard);
    });
    this.#open.add(relay);
    const broken = (code: ErrorCode) => relay.refuse(code);
    const stalled = guard.listener(broken, () => relay.stalled());
    const send = (read: Buffer | undefined) => {
      const streamed = read === undefined && bodies > 0 ? new Upload(request, this.#limits.idleMs, stalled) : null;
      const options: Dispatcher.DispatchOptions = {
        path: target,
        method: request.method as Dispatcher.HttpMethod,
        headers: renaming
          ? [...without(forwardHeaders(request.rawHeaders, read === undefined), 'accept-encoding'), ...identity]
          : forwardHeaders(request.rawHeaders, read === undefined),
        body: read ?? streamed,
      };
      if (streamed === null && idempotent.has(request.method ?? '')) relay.again = options;
      try {
        this.#pool.dispatch(options, new GuardedHandler(relay, guard, broken));
      } catch {
        relay.onResponseError(undefined, Object.assign(new Error('invalid'), { code: 'UND_ERR_INVALID_ARG' }));
      }
    };
    const announced = Number(request.headers['content-length'] ?? Number.NaN);
    // A small body costs less in one piece with its headers than as a stream of its own.
    if (body === undefined && announced > 0 && announced <= wholeMax) {
      const collected = new CollectedBytes();
      idle = setTimeout(stalled, this.#limits.idleMs);
      request.on('data', (chunk: Buffer) => {
        collected.add(chunk);
        idle?.refresh();
      });
      const whole = () => {
        clearTimeout(idle);
        if (!relay.ended && !wasGivenUp(request)) send(collected.whole());
      };
      request.once('end', guard.listener(broken, whole));
    } else guard.run(broken, () => send(body));
  }

  /** Connects a protocol upgrade (WebSocket) with the model. */
  upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const { guard } = this;
    const refused =
      this.#active >= this.#max ? 'PL_PASS_FULL' : request.url?.startsWith('/') ? undefined : 'PL_HTTP_TARGET';
    const entry = refused ? 'refused' : this.#enter(request);
    if (entry === 'refused') {
      const code = refused ?? 'PL_CIRCUIT_OPEN';
      this.#onEnd(code);
      return endWithError(socket, code);
    }
    this.#active++;
    const ended = (result: string, heard: boolean) => {
      this.#active--;
      this.#tellCircuit(result, heard, entry);
      this.#onEnd(result);
    };
    const { connectMs: withinMs, tunnelIdleMs } = this.#limits;
    const limits = { ...tunnelLimits, connectMs: withinMs, idleMs: tunnelIdleMs };
    const owner = { guard, limits, begun: () => this.heard(), done: ended };
    guard.run(
      (code) => endWithError(socket, code),
      () => openTunnel(this.#upstream, request, socket, head, owner),
    );
  }

  /** Ends whatever has no answer yet with this error, or breaks it off where an answer has begun. */
  refuseRest(code: ErrorCode): void {
    for (const each of this.#open) each.refuse(code);
  }

  heard(): void {
    this.#shared.circuit.answered(performance.now());
  }

  sendAgain(options: Dispatcher.DispatchOptions, relay: Relay): boolean {
    if (!this.#shared.mayResend()) return false;
    const handler = new GuardedHandler(relay, this.#shared.guard, (code) => relay.refuse(code));
    const { connectMs: withinMs, modelSilentMs } = this.#limits;
    sendOnOwnConnection(this.#upstream.origin, options, handler, withinMs, modelSilentMs);
    return true;
  }

  stalls(relay: Relay, stalled: boolean): void {
    if (stalled) this.#stalled.add(relay);
    else this.#stalled.delete(relay);
  }

  async close(): Promise<void> {
    this.#stalled.stop();
    this.#http2.close();
    await this.#pool.destroy();
  }

  /** Who asks for trailers gets HTTP/2, beside gRPC, where the model is known to speak it, and HTTP/1.1 elsewhere. */
  #needsHttp2(request: IncomingMessage): boolean {
    return request.httpVersionMajor === 2 && request.headers.te === 'trailers' && this.#http2.spoke;
  }

  /** Kubelet's own checks of the model pass whatever the circuit says: they find out, and are few. */
  #enter(request: IncomingMessage): Entry {
    const checks = request.headers['user-agent']?.startsWith('kube-probe/') ?? false;
    const entry = this.#shared.circuit.enter(performance.now(), checks);
    if (entry !== 'refused') this.#shared.called();
    return entry;
  }

  #tellCircuit(result: string, heard: boolean, entry: Entry): void {
    if (heard) return;
    const { circuit } = this.#shared;
    const absence = absenceOf(result);
    if (absence) circuit.absent(performance.now(), entry, absence);
    else circuit.abandoned(performance.now(), entry);
  }

  #refuse(
    request: IncomingMessage,
    response: ServerResponse,
    code: ErrorCode,
    onResult?: (result: string) => void,
  ): void {
    this.#onEnd(code);
    onResult?.(code);
    refuse(request, response, code);
  }
}
