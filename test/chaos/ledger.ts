import { type Fault, type FaultName, faultOf, type Transport } from '../support/faults/fault-model.ts';
import type { FaultyCall } from '../support/faults/faulty-upstream.ts';
import { refusalOf as grpcRefusalOf } from '../support/faults/grpc-replies.ts';
import { refusalOf } from '../support/faults/http-replies.ts';
import { type ChaosRequest, driverOf, laneHeader, replyTo, rowsOf } from './requests.ts';

/** What a caller got. */
export interface ChaosAnswer {
  /** Of the protocol: of HTTP, or of gRPC. */
  readonly status: number;
  readonly body: Buffer;
  /** Of gRPC: what was said with the status. */
  readonly message: string;
  readonly requestId: string | undefined;
  readonly jsonBytes: string | undefined;
}

/** One execution at the model. */
interface Execution {
  readonly ids: readonly number[];
  readonly name: FaultName;
  readonly fault: Fault;
  readonly transport: Transport;
  /** The first execution of the batch that this one is a part of, or sends again. */
  readonly root: Execution;
  readonly isRetry: boolean;
  /** The connection was closed before the reply was known to be out. */
  lost: boolean;
  /** On a root: whether it or a part of it was left without a reply. */
  hung: boolean;
}

/** What may have happened to a call that nobody saw at the model. */
interface Close {
  readonly at: number;
  readonly transport: Transport;
}

/** Faults behind the first byte of a reply. */
const begun = new Set<FaultName>([
  ...(['kill-in-head', 'kill-in-body', 'reset-in-body', 'length-too-long', 'cut-in-chunk', 'garbage'] as const),
]);
/** A companion that has much to do may use a connection for so long that was closed before; ms. */
const unnoticedMs = 500;
/** A circuit opens after so many absences of the model in a row, and is tried again after so long at most; ms. */
const absencesOfCircuit = 5;
const circuitMs = 12_000;
/** Requests are remembered for so many later ones. */
const remembered = 20_000;

/**
 * What the model did, by request, and whether each answer and each execution after the first one follow from it:
 *
 * ```
 *   [a b c d] status-500 ──► [a b] ok                   halves of what was refused for its content or its size
 *                            [c d] rows-missing ──► [c] ok, [d] ok      each alone where a reply cannot be split
 *   [e f] reset-before-reply ──► [e f] ok               once more where a kept connection died
 * ```
 */
export class Ledger {
  readonly counts = {
    calls: 0,
    batched: 0,
    halves: 0,
    singles: 0,
    retries: 0,
    waitedInVain: 0,
    lostUnseen: 0,
    refusedTwice: 0,
    refusedWithOthers: 0,
    circuitOpen: 0,
  };
  readonly faults = new Map<FaultName, number>();
  readonly statuses = new Map<string, number>();
  /** Requests in calls that carried several, by protocol. */
  readonly together = new Map<string, number>();
  /** What was wrong, the first ones. */
  readonly wrong: string[] = [];
  #wrongs = 0;
  readonly #hardMs: number;
  readonly #ofRequest = new Map<number, Execution[]>();
  readonly #ofCall = new WeakMap<FaultyCall, Execution>();
  readonly #answered = new Set<number>();
  readonly #closes: Close[] = [];
  readonly #refusals: { readonly at: number; readonly lane: string }[] = [];
  #forgotten = 0;

  /** @param hardMs when a request gets 504, whatever the model does */
  constructor(hardMs: number) {
    this.#hardMs = hardMs;
  }

  get wrongs(): number {
    return this.#wrongs;
  }

  /** Counts something that must not be. */
  blame(what: string): void {
    this.#wrongs++;
    if (this.wrong.length < 20) this.wrong.push(what);
  }

  /** The model took a call with these requests in it, by whole rows. */
  executed(call: FaultyCall, rows: readonly (readonly number[])[], name: FaultName): void {
    const ids = [...new Set(rows.map(([id]) => id as number))];
    const whole = ids.flatMap(rowsOf);
    if (JSON.stringify(whole) !== JSON.stringify(rows)) {
      this.blame(`a batch of ${ids} holds other rows than theirs, or not in one piece`);
    }
    const before = ids.map((id) => this.#ofRequest.get(id)?.at(-1));
    const previous = before[0];
    if (before.some((each) => each !== previous)) this.blame(`${ids} were at the model apart`);
    const kind = previous === undefined ? 'first' : this.#resend(previous, ids);
    const execution: Execution = {
      ids,
      name,
      fault: faultOf(name),
      transport: call.transport,
      isRetry: kind === 'retries',
      lost: false,
      hung: false,
      get root() {
        return previous?.root ?? execution;
      },
    };
    if (execution.fault.effect === 'silent') execution.root.hung = true;
    this.counts.calls++;
    this.faults.set(name, (this.faults.get(name) ?? 0) + 1);
    if (ids.length > 1) {
      this.counts.batched++;
      const { name: driver } = driverOf(ids[0] as number);
      this.together.set(driver, (this.together.get(driver) ?? 0) + ids.length);
    }
    if (kind !== 'first') this.counts[kind]++;
    this.#ofCall.set(call, execution);
    for (const id of ids) this.#ofRequest.set(id, [...(this.#ofRequest.get(id) ?? []), execution]);
  }

  /** A connection was closed, and perhaps replies of these calls with it, or calls that nobody has read. */
  closed(transport: Transport, calls: readonly FaultyCall[]): void {
    this.#closes.push({ at: performance.now(), transport });
    if (this.#closes.length > 20_000) this.#closes.splice(0, 10_000);
    for (const call of calls) {
      const execution = this.#ofCall.get(call);
      if (execution) execution.lost = true;
    }
  }

  /** A call of this lane was refused before it was begun. It is sent once more, and refused again ends there. */
  refused(lane: string): void {
    this.#refusals.push({ at: performance.now(), lane });
    if (this.#refusals.length > 2000) this.#refusals.splice(0, 1000);
  }

  /** Which of the announced resends this is. */
  #resend(previous: Execution, ids: readonly number[]): 'halves' | 'singles' | 'retries' {
    const many = previous.ids.length > 1;
    const half = previous.ids.length >> 1;
    const halves = [previous.ids.slice(0, half), previous.ids.slice(half)];
    const { effect } = previous.fault;
    // Requests whose callers have been answered meanwhile are left out.
    const isHalf = halves.some((each) => ids.every((id) => each.includes(id)));
    if (many && (effect === 'content' || effect === 'too-large') && isHalf) return 'halves';
    if (many && effect === 'unsplittable' && ids.length === 1) return 'singles';
    // A model that has begun to answer has done the work.
    const died = (previous.lost && !begun.has(previous.name)) || previous.name === 'refuse-stream';
    const same = ids.every((id) => previous.ids.includes(id));
    if (died && !previous.isRetry && same) return 'retries';
    this.blame(`${ids} were executed again after ${previous.name} of ${previous.ids}`);
    return 'retries';
  }

  /** A caller left: whatever it got so far must be its own. */
  left(request: ChaosRequest): void {
    this.#once(request);
    this.#count('left');
    this.#forget(request.id);
  }

  /** Checks that an answer is what the model's last word on this request comes to. */
  explain(request: ChaosRequest, answer: ChaosAnswer, sentAt: number, answeredAt: number): void {
    this.#once(request);
    this.#count(`${request.driver.name} ${answer.status}`);
    const wrong = this.#wrongWith(request, answer, sentAt, answeredAt);
    if (wrong) {
      const executions = this.#ofRequest.get(request.id) ?? [];
      const did = executions.map((each) => `${each.name} of ${each.ids.length}${each.lost ? ' (lost)' : ''}`);
      const said = `${answer.message} ${answer.body.toString('latin1', 0, 200)}`;
      this.blame(`request ${request.id} (${request.driver.name}): ${wrong}; got ${answer.status} ${said} after ${did}`);
    }
    this.#forget(request.id);
  }

  #once({ id }: ChaosRequest): void {
    if (this.#answered.has(id)) this.blame(`request ${id} was answered twice`);
    this.#answered.add(id);
  }

  #count(status: string): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
  }

  #forget(id: number): void {
    for (; this.#forgotten < id - remembered; this.#forgotten++) {
      this.#ofRequest.delete(this.#forgotten);
      this.#answered.delete(this.#forgotten);
    }
  }

  #wrongWith(request: ChaosRequest, answer: ChaosAnswer, sentAt: number, answeredAt: number): string | undefined {
    const { transport } = request;
    const last = this.#ofRequest.get(request.id)?.at(-1);
    if (answer.requestId !== request.name) return `it bears the id ${answer.requestId}`;
    const isGrpc = transport === 'grpc';
    const code = /PL_[A-Z_]+/.exec(isGrpc ? answer.message : answer.body.toString('latin1', 0, 300))?.[0];
    if (answer.status === (isGrpc ? 4 : 504)) {
      if (code === undefined) return 'nobody said it';
      // A reply that never comes ends its own batch. Others may wait in vain for a slot, but until the deadline only.
      if (last?.root.hung) return undefined;
      if (answeredAt - sentAt < 0.95 * this.#hardMs) return `it waited ${answeredAt - sentAt} ms only`;
      this.counts.waitedInVain++;
      return undefined;
    }
    if (code === 'PL_BATCH_REFUSED') {
      // Where its time was too short for another call.
      const failed = ['content', 'too-large', 'unsplittable'].includes(last?.fault.effect ?? '');
      if (!failed || last?.ids.length === 1) return 'it was not in a batch that failed';
      this.counts.refusedWithOthers++;
      return undefined;
    }
    if (code === 'PL_CIRCUIT_OPEN') {
      const absences = this.#closes.filter(({ at }) => at >= answeredAt - circuitMs && at <= answeredAt);
      if (absences.length < absencesOfCircuit) return `the model was absent ${absences.length} times only`;
      this.counts.circuitOpen++;
      return undefined;
    }
    if (code !== undefined) {
      const allowed = isGrpc
        ? ['PL_UPSTREAM_RESET', 'PL_UPSTREAM_UNREACHABLE', 'PL_UPSTREAM_PROTOCOL']
        : ['PL_UPSTREAM_RESET'];
      if (!allowed.includes(code)) return 'no fault of the model comes to this';
      if (last && (last.fault.effect === 'broken' || last.lost)) return undefined;
      // The connection may have been closed before the model had read the call, also that of a half or of a single one.
      const apart =
        ['content', 'too-large', 'unsplittable'].includes(last?.fault.effect ?? '') && (last?.ids.length ?? 0) > 1;
      const within = ({ at }: { at: number }) => at >= sentAt - unnoticedMs && at <= answeredAt;
      const closes = this.#closes.filter((each) => each.transport === transport);
      if ((last === undefined || apart) && closes.some(within)) {
        this.counts.lostUnseen++;
        return undefined;
      }
      const lane = request.written.headers[request.written.headers.indexOf(laneHeader) + 1];
      const refusals = this.#refusals.filter((each) => each.lane === lane && within(each));
      if ((last === undefined || apart) && refusals.length >= 2) {
        this.counts.refusedTwice++;
        return undefined;
      }
      return `the model did not break this call, and refused ${refusals.length} of its lane meanwhile`;
    }
    if (!last) return 'the model was never asked';
    return wrongWithReply(request, answer, last);
  }
}

function wrongWithReply(request: ChaosRequest, answer: ChaosAnswer, last: Execution): string | undefined {
  const { effect } = last.fault;
  const isGrpc = request.transport === 'grpc';
  const alone = last.ids.length === 1;
  if (effect === 'content' || effect === 'too-large' || effect === 'refused') {
    if (!alone && effect !== 'refused') return 'neighbours were not tried apart';
    const status = (isGrpc ? last.fault.grpc : last.fault.http) as number;
    if (answer.status !== status) return `the model said ${status}`;
    const said = isGrpc ? grpcRefusalOf(status) : refusalOf(status);
    return (isGrpc ? answer.message : answer.body.toString()) === said ? undefined : 'that is not what the model said';
  }
  if (answer.status !== (isGrpc ? 0 : 200)) return 'the model said nothing like this';
  if (effect !== 'answered' && !(effect === 'unsplittable' && alone)) return 'the model did not answer';
  // The reply to a request alone is the model's own, right or wrong.
  const { driver, id, rows } = request;
  const expected = replyTo(driver, { id: driver.name === 'V1' ? undefined : String(id), rows }, last.name);
  if (!answer.body.equals(expected.body)) return `its bytes are not ${expected.body.toString('latin1', 0, 200)}`;
  const jsonBytes = expected.headers['inference-header-content-length'];
  return answer.jsonBytes === jsonBytes ? undefined : `the length of its JSON is ${jsonBytes}`;
}
