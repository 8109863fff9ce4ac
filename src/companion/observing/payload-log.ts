import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { CompanionOptions } from '../../policy/companion-options.ts';
import { type Log, RareWarnings } from '../../telemetry/log.ts';
import type { Guard } from '../guard.ts';
import { isAnswered } from '../http/answered.ts';
import { CollectedBytes } from '../http/collected-bytes.ts';
import { type EventOrigin, EventWriter, type Payload } from './cloud-event.ts';
import { EventQueue, type EventResult } from './event-queue.ts';
import { EventSink } from './event-sink.ts';
import { type Ear, statusOf, tap } from './tap.ts';

/** Of the time of a drain, what a sink may take when all of it has gone to callers. */
const leastDrainMs = 1000;

/**
 * Logs the payloads of callers' requests and replies to a sink, in the place of KServe's agent: what a caller sent and what it
 * got, never a merged body. A reply is logged when it is complete and its status 200, as there. Requests never wait for it.
 */
export class PayloadLog {
  readonly #writer: EventWriter;
  readonly #sink: EventSink;
  readonly #queue: EventQueue;
  readonly #guard: Guard;
  readonly #requests: boolean;
  readonly #responses: boolean;

  /** @param onEnd hears what became of each event. */
  constructor(url: URL, options: CompanionOptions, log: Log, guard: Guard, onEnd: (result: EventResult) => void) {
    this.#guard = guard;
    const warnings = new RareWarnings(log);
    this.#writer = new EventWriter(options);
    this.#sink = new EventSink(url, options, log);
    const bounds = { events: options.logQueue, bytes: options.logQueueBytes, workers: options.logWorkers };
    this.#queue = new EventQueue(bounds, this.#sink.deliver, (result) => {
      onEnd(result);
      if (result === 'sent') return;
      warnings.warn(
        `payload-${result}`,
        { code: 'PL_LOG_SINK', result, sink: url.host },
        'a payload was not logged: requests are served all the same',
      );
    });
    this.#requests = options.logMode !== 'response';
    this.#responses = options.logMode !== 'request';
  }

  get events(): number {
    return this.#queue.events;
  }

  get bytes(): number {
    return this.#queue.bytes;
  }

  /** Logs what this exchange will have sent and got. */
  follow(request: IncomingMessage, response: ServerResponse): void {
    if (isKubeletProbe(request.headers)) return;
    const origin = this.#writer.origin(request);
    const startedAt = Date.now();
    const asked = this.#requests ? new Collected(this.#queue) : undefined;
    const answered = this.#responses ? new Collected(this.#queue) : undefined;
    const ear: Ear = {
      requestBytes: this.#guard.listener(nothing, (chunk: Buffer) => asked?.add(chunk)),
      requestEnd: this.#guard.listener(nothing, () => this.#log(origin, 'request', startedAt, asked)),
      responseBytes: this.#guard.listener(nothing, (chunk: Buffer) => answered?.add(chunk)),
    };
    tap(request, response, ear);
    const closed = () => {
      if (statusOf(response) === 200 && isAnswered(response)) {
        this.#log(origin, 'response', Date.now(), answered);
      }
      asked?.forget();
      answered?.forget();
    };
    response.once('close', this.#guard.listener(nothing, closed));
  }

  /** Sends what is held, until `until` or for a second, whichever is later, and ends. Returns whether all of it went. */
  async drain(until: number): Promise<boolean> {
    const clean = await this.#queue.drain(Math.max(until, performance.now() + leastDrainMs));
    await this.stop();
    return clean;
  }

  async stop(): Promise<void> {
    this.#queue.stop();
    await this.#sink.close();
  }

  #log(origin: EventOrigin, payload: Payload, at: number, collected: Collected | undefined): void {
    const body = collected?.take();
    if (body) this.#queue.push(this.#writer.event(origin, payload, at, body));
  }
}

/** A probe that is meant for the model: KServe's agent does not log it either. */
function isKubeletProbe(headers: IncomingHttpHeaders): boolean {
  return headers['user-agent']?.startsWith('kube-probe/') === true || headers['k-kubelet-probe'] !== undefined;
}

/** What cannot be logged is not: its request goes on. */
function nothing(): void {}

/** A payload that is being heard, while there is room for it. */
class Collected {
  readonly #queue: EventQueue;
  #bytes: CollectedBytes | undefined = new CollectedBytes();

  constructor(queue: EventQueue) {
    this.#queue = queue;
  }

  add(chunk: Buffer): void {
    if (!this.#bytes) return;
    if (!this.#queue.reserve(chunk.length)) {
      this.forget();
      return this.#queue.dropped('bytes-full');
    }
    this.#bytes.add(chunk);
  }

  /** The payload in memory of its own, whose bytes stay reserved; undefined if it was dropped or taken before. */
  take(): Buffer | undefined {
    const body = this.#bytes?.copy();
    this.#bytes = undefined;
    return body;
  }

  /** Gives back what it holds. */
  forget(): void {
    this.#queue.give(this.#bytes?.length ?? 0);
    this.#bytes = undefined;
  }
}
