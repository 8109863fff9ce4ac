import { Outcome, reasonLabel } from '../../kernels/reasons.ts';
import type { Spliced, SplitFailure } from '../../protocol/protocol.ts';
import type { CompanionMetrics } from '../../telemetry/companion-metrics.ts';
import type { RareWarnings } from '../../telemetry/log.ts';
import { refuseOrBreakOff } from '../answering/refusal.ts';
import type { ErrorCode } from '../errors.ts';
import type { Ending, Guard } from '../guard.ts';
import type { Tracing } from '../observing/tracing.ts';
import type { Circuit, Entry } from '../upstream/circuit.ts';
import { absenceOf, codeOfFailure } from '../upstream/failure-codes.ts';
import type { UpstreamEnd, UpstreamReply } from '../upstream/upstream.ts';
import { itemsOf, type Part, partsOf, type Resend } from './batch-parts.ts';
import type { Carrier, Judgement } from './carrier.ts';
import type { Exchange } from './exchange.ts';
import type { Quarantines } from './quarantines.ts';
import type { ResendBudget } from './resend-budget.ts';
import type { Dispatched, Scheduler } from './scheduler.ts';

/** A call that was silent for this share of the hard timeout was in vain: its requests may have waited for a slot before. */
const silentShare = 0.5;

/** What a batch call works with. */
export interface CallContext {
  readonly metrics: CompanionMetrics;
  readonly warnings: RareWarnings;
  readonly scheduler: Scheduler;
  readonly budget: ResendBudget;
  readonly quarantines: Quarantines;
  readonly circuit: Circuit;
  /** How long callers wait for a model at most; ms. */
  readonly hardTimeoutMs: () => number;
  readonly tracing: Tracing | undefined;
  readonly guard: Guard;
  /** The kernel that takes bodies apart and together failed. */
  protocolFailed(error: unknown): void;
}

/**
 * One batch at the model, from dispatch until every request in it has its answer. It holds one upstream slot all the
 * while; parts of it are sent one after the other:
 *
 * ```
 *   [a b c d] ──400──► [a b] ──200──► answers     a refusal for the content: halves, until the guilty one is alone
 *                      [c d] ──400──► [c] ──200──► answer
 *                                     [d] ──400──► its own 400
 * ```
 *
 * A part is sent again only as far as its deadlines allow. Whoever is left then gets an error of ours, never the model's: a
 * refusal of several may speak of the data of one. When the budget of resends is spent, what is left of the batch goes one by
 * one, and so does what comes after it.
 */
export class BatchCall {
  readonly #context: CallContext;
  readonly #dispatched: Dispatched;
  /** Requests of one lane are carried alike. */
  readonly #carrier: Carrier;
  /** Parts that are still to be sent, the next one last. */
  readonly #parts: Part[];
  #outcome: Outcome | undefined;
  #finished = false;
  #calls = 0;
  #cancel: (() => void) | undefined;
  /** What the circuit has yet to hear of. */
  #entry: Entry | undefined;
  #current: readonly Exchange[] = [];
  /** Several were refused for their content together, and so far nobody alone and no smaller part was. */
  #suspect: 'nobody' | 'all' | 'known' = 'nobody';
  /** Calls of one request that went well. */
  #aloneWell = 0;
  #deadline: NodeJS.Timeout | undefined;
  #timedOut = false;

  constructor(context: CallContext, dispatched: Dispatched) {
    this.#context = context;
    this.#dispatched = dispatched;
    this.#carrier = (dispatched.exchanges[0] as Exchange).carrier;
    const { lane, exchanges } = dispatched;
    const sharersMax = lane ? context.quarantines.sharersMax(lane) : 1;
    this.#parts = partsOf(exchanges, this.#carrier.callBytesMax, sharersMax).reverse();
  }

  start(): void {
    this.#context.guard.run(this.#broken, () => this.#start());
  }

  #start(): void {
    const { exchanges, reason } = this.#dispatched;
    const { metrics, guard } = this.#context;
    const oneEnded = guard.listener(this.#broken, () => this.#oneEnded());
    metrics.batches.add(1, reasonLabel(reason));
    const items = itemsOf(exchanges);
    // A renamed call that passes has not been counted out.
    if (items > 0) metrics.dispatched(items);
    for (const exchange of exchanges) if (!exchange.ended) exchange.onEnd = chain(exchange.onEnd, oneEnded);
    this.#armDeadline();
    this.#next();
  }

  #next(): void {
    for (;;) {
      const part = this.#parts.pop();
      if (!part) return this.#end();
      const open = part.exchanges.filter((each) => !each.ended);
      const rest = part.resend === undefined ? open : this.#resendable(open, part.resend);
      if (rest.length > 0) return this.#send(rest);
    }
  }

  /** Those of a part that are sent again; the others have their answer. */
  #resendable(open: readonly Exchange[], why: Resend): readonly Exchange[] {
    if (open.length === 0) return open;
    const { budget, metrics, quarantines } = this.#context;
    const { lane } = this.#dispatched;
    const now = performance.now();
    const inTime = open.filter((each) => each.hardDeadline >= now + this.#expectedMs(open));
    if (inTime.length < open.length)
      for (const each of open) if (!inTime.includes(each)) this.#failed(each, 'PL_BATCH_REFUSED');
    if (inTime.length === 0) return inTime;
    // Whatever ends the sharing of calls does not come again: it is owed, so that the innocent have their answers.
    if (why !== 'bisect') budget.owe();
    else if (!budget.take()) {
      if (lane) quarantines.begin(lane, 'refused', 'more batches are refused for their content than may be resent');
      this.#apart(inTime, 'alone');
      return [];
    }
    metrics.resends.add(1, why);
    return inTime;
  }

  /** How long the model is expected to take for these; 0 where nobody knows. */
  #expectedMs(part: readonly Exchange[]): number {
    const { scheduler } = this.#context;
    const { lane } = this.#dispatched;
    if (!lane || scheduler.lanes.at(lane.row) !== lane) return 0;
    return scheduler.signals.expectedMs(lane.row, itemsOf(part)) || 0;
  }

  #send(open: readonly Exchange[]): void {
    const { circuit } = this.#context;
    const entry = circuit.enter(performance.now());
    if (entry === 'refused') return this.#notSent(open);
    // One request is enough to see whether the model is back.
    const part = entry === 'tries' ? open.slice(0, 1) : open;
    if (part.length < open.length) {
      this.#outcome ??= Outcome.Failed;
      for (const each of open.slice(part.length)) this.#failed(each, 'PL_CIRCUIT_OPEN');
    }
    this.#entry = entry;
    const merged = this.#merged(part);
    if (!merged) {
      this.#abandonEntry();
      return this.#next();
    }
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
    const ended = (end: UpstreamEnd) => {
      this.#cancel = undefined;
      const ms = performance.now() - sentAt;
      for (const exchange of part) exchange.execMs = ms;
      span?.end(end);
      this.#tellCircuit(end, ms, entry);
      this.#ended(part, this.#carrier.restored(part, end), ms);
    };
    this.#cancel = this.#carrier.send(part, merged, this.#context.guard.listener(this.#broken, ended));
  }

  /** The model is not there. In a turn of its own: when a circuit opens, all that waits comes here. */
  #notSent(part: readonly Exchange[]): void {
    this.#outcome ??= Outcome.Failed;
    for (const exchange of part) this.#failed(exchange, 'PL_CIRCUIT_OPEN');
    setImmediate(this.#context.guard.listener(this.#broken, () => this.#next()));
  }

  #tellCircuit(end: UpstreamEnd, ms: number, entry: Entry): void {
    const { circuit, hardTimeoutMs } = this.#context;
    this.#entry = undefined;
    const now = performance.now();
    // Whoever answers in another protocol is there.
    if (!('failure' in end) || end.failure === 'too-large' || end.failure === 'protocol') return circuit.answered(now);
    const { failure } = end;
    // A caller may allow the model little time: that says nothing about the model.
    const silent = failure === 'aborted' && this.#timedOut && ms >= hardTimeoutMs() * silentShare;
    const absence = absenceOf(failure);
    if (silent) circuit.absent(now, entry, 'silent', now - ms, hardTimeoutMs());
    else if (absence) circuit.absent(now, entry, absence);
    else circuit.abandoned(now, entry);
  }

  /** The body of one call; undefined, and calls of their own for all, if it cannot be made. */
  #merged(part: readonly Exchange[]): Spliced | undefined {
    const { body, measured } = part[0] as Exchange;
    if (part.length === 1) return { slices: [body], jsonBytes: measured.jsonBytes };
    try {
      return (part[0] as Exchange).protocol.merge(part);
    } catch (error) {
      this.#context.protocolFailed(error);
      this.#outcome ??= Outcome.Failed;
      this.#apart(part, undefined);
      return undefined;
    }
  }

  #ended(part: readonly Exchange[], end: UpstreamEnd, ms: number): void {
    const { metrics, quarantines } = this.#context;
    const { lane } = this.#dispatched;
    if ('failure' in end) {
      metrics.upstreamCalls.add(1, end.failure);
      this.#outcome ??=
        end.failure === 'aborted' ? (this.#timedOut ? Outcome.TimedOut : Outcome.Cancelled) : Outcome.Failed;
      if (end.failure !== 'aborted') {
        const fields = { failure: end.failure, code: codeOfFailure(end.failure), requests: part.length };
        this.#context.warnings.warn(`upstream-${end.failure}`, fields, 'a call to the model failed');
      }
      for (const exchange of part) this.#failed(exchange, codeOfFailure(end.failure));
      if (end.failure === 'reset' && part.length > 1 && lane) quarantines.failedTogether(lane, false);
      return this.#next();
    }
    const judgement = this.#carrier.judge(end);
    metrics.upstreamCalls.add(1, judgement.label);
    const isWhole = this.#calls === 1 && this.#parts.length === 0 && this.#outcome === undefined;
    if (judgement.kind === 'answered') this.#answered(part, end, ms, isWhole);
    else this.#refused(part, end, judgement);
  }

  #answered(part: readonly Exchange[], reply: UpstreamReply, ms: number, isWhole: boolean): void {
    const { metrics, scheduler, quarantines, guard } = this.#context;
    const items = itemsOf(part);
    if (items > 0) metrics.executed(items, ms);
    if (part.length > 1 && !this.#carrier.fits(part, reply)) {
      // Smaller batches have smaller replies: as good as a model that refuses the size.
      this.#outcome ??= Outcome.TooLarge;
      metrics.unsplittable.add(1, 'too-large');
      this.#halve(part, 'halve');
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
    if (part.length > 1) this.#suspect = 'known';
    else this.#aloneWell++;
    if (this.#dispatched.lane?.quarantine) quarantines.wentWell(this.#dispatched.lane, part.length);
    const write = this.#carrier.writer(reply, part.length);
    const timing = `exec;dur=${ms.toFixed(1)}, batch;desc="${part.length}"`;
    for (const [i, exchange] of part.entries()) {
      const wait = exchange.waitMs;
      const queue = Math.max(0, exchange.sentAt - exchange.arrivedAt - wait);
      const own = `queue;dur=${queue.toFixed(1)}, wait;dur=${wait.toFixed(1)}, ${timing}`;
      guard.run(endingOf(exchange), () => {
        if (!exchange.answer((response) => write(response, split[i] as Spliced, own))) return;
        const now = performance.now();
        exchange.answeredAt = now;
        metrics.answered(now, now - exchange.receivedAt, queue, wait, now <= exchange.softDeadline);
      });
    }
    scheduler.noteReplyPath(performance.now() - arrivedAt);
    this.#next();
  }

  /** The model said no to all of them. */
  #refused(part: readonly Exchange[], reply: UpstreamReply, judgement: Judgement): void {
    const { metrics, guard } = this.#context;
    const tooLarge = judgement.kind === 'too-large';
    this.#outcome ??= tooLarge && part.length > 1 ? Outcome.TooLarge : Outcome.Failed;
    if (part.length > 1 && judgement.kind !== 'refused') {
      if (!tooLarge && this.#suspect === 'nobody') this.#suspect = 'all';
      this.#halve(part, tooLarge ? 'halve' : 'bisect');
      return this.#next();
    }
    if (judgement.kind !== 'refused') this.#suspect = 'known';
    const write = this.#carrier.writer(reply, part.length);
    for (const exchange of part) {
      guard.run(endingOf(exchange), () => {
        if (!exchange.answer((response) => write(response, { slices: [reply.body] }))) return;
        metrics.requests.add(1, 'failed', judgement.reason);
        metrics.objective(performance.now(), false, judgement.fault);
      });
    }
    this.#next();
  }

  /** Replies of this lane cannot be split: each request gets a call of its own, and so do those that come. */
  #serveSingly(part: readonly Exchange[], failure: SplitFailure): void {
    const { metrics, quarantines } = this.#context;
    const { lane } = this.#dispatched;
    metrics.unsplittable.add(1, failure.failed);
    if (lane) quarantines.begin(lane, 'unsplittable', failure.message);
    this.#apart(part, 'unsplittable');
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

  #halve(exchanges: readonly Exchange[], resend: Resend): void {
    const half = exchanges.length >> 1;
    this.#parts.push({ exchanges: exchanges.slice(half), resend }, { exchanges: exchanges.slice(0, half), resend });
  }

  #apart(exchanges: readonly Exchange[], resend: Resend | undefined): void {
    for (let i = exchanges.length - 1; i >= 0; i--) this.#parts.push({ exchanges: [exchanges[i] as Exchange], resend });
  }

  #failed(exchange: Exchange, code: ErrorCode): void {
    const { metrics, guard } = this.#context;
    guard.run(endingOf(exchange), () => {
      if (!exchange.fail(code)) return;
      metrics.requests.add(1, 'failed', code);
      metrics.objective(performance.now(), false, true);
    });
  }

  /** Our own code failed: none of these requests can be served any more, and their slot is free. */
  readonly #broken = (code: ErrorCode): void => {
    this.#outcome ??= Outcome.Failed;
    this.#parts.length = 0;
    for (const exchange of this.#dispatched.exchanges) this.#failed(exchange, code);
    const cancel = this.#cancel;
    this.#cancel = undefined;
    this.#abandonEntry();
    // A call that is cancelled ends, and its batch with it.
    if (cancel) cancel();
    else this.#end();
  };

  #abandonEntry(): void {
    if (this.#entry) this.#context.circuit.abandoned(performance.now(), this.#entry);
    this.#entry = undefined;
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
    const passed = () => {
      const now = performance.now() + 0.5;
      this.#timedOut = true;
      for (const exchange of open) if (exchange.hardDeadline <= now) this.#failed(exchange, 'PL_DEADLINE_EXCEEDED');
      if (!this.#finished || this.#cancel) this.#armDeadline();
    };
    const leftMs = Math.ceil(Math.max(0, next - performance.now()));
    this.#deadline = setTimeout(this.#context.guard.listener(this.#broken, passed), leftMs);
  }

  #end(): void {
    clearTimeout(this.#deadline);
    const { lane } = this.#dispatched;
    // One that succeeded alone may have been the only one left.
    if (this.#suspect === 'all' && this.#aloneWell > 1 && lane) this.#context.quarantines.failedTogether(lane, true);
    this.#finish(this.#outcome ?? Outcome.Cancelled);
  }

  #finish(outcome: Outcome): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#dispatched.finished(outcome);
  }
}

/** Ends one request of a batch; an answer of which nothing has gone is ours to give. */
function endingOf(exchange: Exchange): Ending {
  return (code) => {
    if (!exchange.fail(code)) refuseOrBreakOff(exchange.request, exchange.response, code);
  };
}

function chain(first: Exchange['onEnd'], second: () => void): Exchange['onEnd'] {
  return (exchange, left) => {
    first?.(exchange, left);
    second();
  };
}
