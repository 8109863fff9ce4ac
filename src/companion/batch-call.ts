import { Outcome, reasonLabel } from '../kernels/reasons.ts';
import type { Spliced, SplitFailure } from '../protocol/protocol.ts';
import type { CompanionMetrics } from '../telemetry/companion-metrics.ts';
import type { RareWarnings } from '../telemetry/log.ts';
import type { Carrier, Judgement } from './carrier.ts';
import type { ErrorCode } from './errors.ts';
import type { Exchange } from './exchange.ts';
import { codeOfFailure } from './failure-codes.ts';
import type { Lane } from './lanes.ts';
import type { Tracing } from './observing/tracing.ts';
import type { ResendBudget } from './resend-budget.ts';
import type { Dispatched, Scheduler } from './scheduler.ts';
import type { UpstreamEnd, UpstreamReply } from './upstream.ts';

/** What a batch call works with. */
export interface CallContext {
  readonly metrics: CompanionMetrics;
  readonly warnings: RareWarnings;
  readonly scheduler: Scheduler;
  readonly budget: ResendBudget;
  readonly tracing: Tracing | undefined;
  /** The kernel that takes bodies apart and together failed. */
  protocolFailed(error: unknown): void;
}

const bisectPauseMs = 10_000;
const unlimited = 1e6;

/**
 * One batch at the model, from dispatch until every request in it has its answer. It holds one upstream slot all the
 * while; parts of it are sent one after the other:
 *
 * ```
 *   [a b c d] ──400──► [a b] ──200──► answers     a refusal for the content: halves, until the guilty one is alone
 *                      [c d] ──400──► [c] ──200──► answer
 *                                     [d] ──400──► its own 400
 * ```
 */
export class BatchCall {
  readonly #context: CallContext;
  readonly #dispatched: Dispatched;
  /** Requests of one lane are carried alike. */
  readonly #carrier: Carrier;
  /** Parts that are still to be sent, the next one last. */
  readonly #parts: Exchange[][];
  #outcome: Outcome | undefined;
  #finished = false;
  #calls = 0;
  #cancel: (() => void) | undefined;
  #current: readonly Exchange[] = [];
  #deadline: NodeJS.Timeout | undefined;
  #timedOut = false;

  constructor(context: CallContext, dispatched: Dispatched) {
    this.#context = context;
    this.#dispatched = dispatched;
    this.#carrier = (dispatched.exchanges[0] as Exchange).carrier;
    this.#parts = partsOf(dispatched.exchanges, this.#carrier.callBytesMax).reverse();
  }

  start(): void {
    const { exchanges, reason } = this.#dispatched;
    const { metrics } = this.#context;
    metrics.batches.add(1, reasonLabel(reason));
    metrics.dispatched(exchanges.reduce((sum, each) => sum + each.measured.items, 0));
    for (const exchange of exchanges)
      if (!exchange.ended) exchange.onEnd = chain(exchange.onEnd, () => this.#oneEnded());
    this.#armDeadline();
    this.#next();
  }

  #next(): void {
    let part: Exchange[] | undefined;
    do part = this.#parts.pop()?.filter((each) => !each.ended);
    while (part?.length === 0);
    if (!part) return this.#end();
    this.#send(part);
  }

  #send(part: Exchange[]): void {
    const merged = this.#merged(part);
    if (!merged) return this.#next();
    this.#current = part;
    this.#calls++;
    this.#context.budget.called();
    const span = part.length > 1 ? this.#context.tracing?.batch(part) : undefined;
    const sentAt = performance.now();
    for (const exchange of part) {
      exchange.batch = part.length;
      exchange.batchSpan = span?.context;
      exchange.calledAt = sentAt;
    }
    this.#cancel = this.#carrier.send(part, merged, (end) => {
      this.#cancel = undefined;
      const ms = performance.now() - sentAt;
      for (const exchange of part) exchange.execMs = ms;
      span?.end(end);
      this.#ended(part, end, ms);
    });
  }

  /** The body of one call; undefined, and calls of their own for all, if it cannot be made. */
  #merged(part: Exchange[]): Spliced | undefined {
    const { body, measured } = part[0] as Exchange;
    if (part.length === 1) return { slices: [body], jsonBytes: measured.jsonBytes };
    try {
      return (part[0] as Exchange).protocol.merge(part);
    } catch (error) {
      this.#context.protocolFailed(error);
      this.#outcome ??= Outcome.Failed;
      this.#parts.push(...part.map((each) => [each]).reverse());
      return undefined;
    }
  }

  #ended(part: Exchange[], end: UpstreamEnd, ms: number): void {
    const { metrics } = this.#context;
    if ('failure' in end) {
      metrics.upstreamCalls.add(1, end.failure);
      this.#outcome ??=
        end.failure === 'aborted' ? (this.#timedOut ? Outcome.TimedOut : Outcome.Cancelled) : Outcome.Failed;
      if (end.failure !== 'aborted') {
        const fields = { failure: end.failure, code: codeOfFailure(end.failure), requests: part.length };
        this.#context.warnings.warn(`upstream-${end.failure}`, fields, 'a call to the model failed');
      }
      for (const exchange of part) this.#failed(exchange, codeOfFailure(end.failure));
      return this.#next();
    }
    const judgement = this.#carrier.judge(end);
    metrics.upstreamCalls.add(1, judgement.label);
    const isWhole = this.#calls === 1 && this.#parts.length === 0;
    if (judgement.kind === 'answered') this.#answered(part, end, ms, isWhole);
    else this.#refused(part, end, judgement);
  }

  #answered(part: Exchange[], reply: UpstreamReply, ms: number, isWhole: boolean): void {
    const { metrics, scheduler } = this.#context;
    const items = part.reduce((sum, each) => sum + each.measured.items, 0);
    metrics.executed(items, ms);
    if (part.length > 1 && !this.#carrier.fits(part, reply)) {
      // Smaller batches have smaller replies: as good as a model that refuses the size.
      this.#outcome ??= Outcome.TooLarge;
      metrics.unsplittable.add(1, 'too-large');
      metrics.resends.add(2, 'halve');
      this.#halve(part);
      return this.#next();
    }
    // Parts of a batch teach nothing: their times are not the batch's.
    if (!isWhole) this.#outcome ??= Outcome.Failed;
    else {
      if (this.#dispatched.predictedMs > 0) metrics.predictionRatio.observe(ms / this.#dispatched.predictedMs);
      // The model is free: the next batch goes before this one's replies are written.
      this.#finish(Outcome.Answered);
    }
    const arrivedAt = performance.now();
    const split = this.#split(part, reply);
    if (!Array.isArray(split)) return this.#serveSingly(part, split);
    const write = this.#carrier.writer(reply, part.length);
    const timing = `exec;dur=${ms.toFixed(1)}, batch;desc="${part.length}"`;
    for (const [i, exchange] of part.entries()) {
      const wait = exchange.waitMs;
      const queue = Math.max(0, exchange.sentAt - exchange.arrivedAt - wait);
      const own = `queue;dur=${queue.toFixed(1)}, wait;dur=${wait.toFixed(1)}, ${timing}`;
      if (!exchange.answer((response) => write(response, split[i] as Spliced, own))) continue;
      const now = performance.now();
      exchange.answeredAt = now;
      metrics.answered(now, now - exchange.receivedAt, queue, wait, now <= exchange.softDeadline);
    }
    scheduler.noteReplyPath(performance.now() - arrivedAt);
    this.#next();
  }

  /** The model said no to all of them. */
  #refused(part: Exchange[], reply: UpstreamReply, judgement: Judgement): void {
    const { metrics, budget, warnings } = this.#context;
    const tooLarge = judgement.kind === 'too-large';
    this.#outcome ??= tooLarge && part.length > 1 ? Outcome.TooLarge : Outcome.Failed;
    if (part.length > 1 && judgement.kind !== 'refused') {
      this.#halve(part);
      metrics.resends.add(2, tooLarge ? 'halve' : 'bisect');
      if (!tooLarge && !budget.spend(2) && this.#dispatched.lane) {
        warnings.warn(
          'bisect-budget',
          { target: this.#dispatched.lane.target, status: reply.status },
          'many batches are refused for their content: this lane is served one by one for ten seconds',
        );
        this.#serveSinglyForAWhile(this.#dispatched.lane);
      }
      return this.#next();
    }
    const write = this.#carrier.writer(reply, part.length);
    for (const exchange of part) {
      if (!exchange.answer((response) => write(response, { slices: [reply.body] }))) continue;
      metrics.requests.add(1, 'failed', judgement.reason);
      metrics.objective(performance.now(), false, judgement.fault);
    }
    this.#next();
  }

  /** Replies of this lane cannot be split: each request gets a call of its own, now and from now on. */
  #serveSingly(part: Exchange[], failure: SplitFailure): void {
    const { metrics, scheduler, warnings } = this.#context;
    const { lane } = this.#dispatched;
    metrics.unsplittable.add(1, failure.failed);
    metrics.resends.add(part.length, 'unsplittable');
    warnings.warn(
      'unsplittable',
      { target: lane?.target, wrong: failure.failed },
      `${failure.message}: this lane is served one by one`,
    );
    if (lane) {
      lane.unsplittable = true;
      scheduler.limitLane(lane, 1);
    }
    this.#parts.push(...part.map((each) => [each]).reverse());
    this.#next();
  }

  #split(part: readonly Exchange[], reply: UpstreamReply): Spliced[] | SplitFailure {
    try {
      return this.#carrier.split(part, reply);
    } catch (error) {
      this.#context.protocolFailed(error);
      return { failed: 'shape', message: "taking the model's reply apart failed" };
    }
  }

  #halve(part: Exchange[]): void {
    const half = part.length >> 1;
    this.#parts.push(part.slice(half), part.slice(0, half));
  }

  /** One request a call for ten seconds from now on; one timer a lane. */
  #serveSinglyForAWhile(lane: Lane): void {
    const { scheduler } = this.#context;
    const armed = lane.singlyUntil > performance.now();
    lane.singlyUntil = performance.now() + bisectPauseMs;
    scheduler.limitLane(lane, 1);
    if (armed) return;
    const lift = () => {
      const left = lane.singlyUntil - performance.now();
      if (left > 0) setTimeout(lift, left).unref();
      else if (!lane.unsplittable) scheduler.limitLane(lane, unlimited);
    };
    setTimeout(lift, bisectPauseMs).unref();
  }

  #failed(exchange: Exchange, code: ErrorCode): void {
    if (!exchange.fail(code)) return;
    this.#context.metrics.requests.add(1, 'failed', code);
    this.#context.metrics.objective(performance.now(), false, true);
  }

  /** When all callers of the current call are gone or answered, the call is for nobody. */
  #oneEnded(): void {
    if (this.#cancel && this.#current.every((each) => each.ended)) this.#cancel();
  }

  /** Answers 504 to each request of this batch when its hard deadline passes, whatever the model does. */
  #armDeadline(): void {
    const open = this.#dispatched.exchanges.filter((each) => !each.ended);
    if (open.length === 0) return;
    const next = open.reduce((least, each) => Math.min(least, each.hardDeadline), Number.POSITIVE_INFINITY);
    this.#deadline = setTimeout(
      () => {
        const now = performance.now() + 0.5;
        this.#timedOut = true;
        for (const exchange of open) if (exchange.hardDeadline <= now) this.#failed(exchange, 'PL_DEADLINE_EXCEEDED');
        if (!this.#finished || this.#cancel) this.#armDeadline();
      },
      Math.ceil(Math.max(0, next - performance.now())),
    );
  }

  #end(): void {
    clearTimeout(this.#deadline);
    this.#finish(this.#outcome ?? Outcome.Cancelled);
  }

  #finish(outcome: Outcome): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#dispatched.finished(outcome);
  }
}

/** The requests in parts of at most so many bytes, in order. */
function partsOf(exchanges: readonly Exchange[], callBytesMax: number): Exchange[][] {
  const parts: Exchange[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const exchange of exchanges) {
    bytes += exchange.body.length;
    if (bytes > callBytesMax) {
      parts.push([]);
      bytes = exchange.body.length;
    }
    (parts[parts.length - 1] as Exchange[]).push(exchange);
  }
  return parts;
}

function chain(first: Exchange['onEnd'], second: () => void): Exchange['onEnd'] {
  return (exchange, left) => {
    first?.(exchange, left);
    second();
  };
}
