import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { BatchCall, type CallContext } from '../../src/companion/batching/batch-call.ts';
import type { Carrier } from '../../src/companion/batching/carrier.ts';
import { Exchange } from '../../src/companion/batching/exchange.ts';
import { LaneTable } from '../../src/companion/batching/lanes.ts';
import { Quarantines } from '../../src/companion/batching/quarantines.ts';
import { ResendBudget, resendReserve, resendShare } from '../../src/companion/batching/resend-budget.ts';
import { Circuit } from '../../src/companion/upstream/circuit.ts';
import type { UpstreamReply } from '../../src/companion/upstream/upstream.ts';
import { type Outcome, Reason } from '../../src/kernels/reasons.ts';
import type { BatchProtocol } from '../../src/protocol/protocol.ts';
import { CompanionMetrics } from '../../src/telemetry/companion-metrics.ts';
import { RareWarnings } from '../../src/telemetry/log.ts';
import { noGauges } from '../support/no-gauges.ts';
import { QuietLog } from '../support/quiet-log.ts';
import { strictGuard } from '../support/strict-guard.ts';
import { suite } from '../support/suite.ts';

/** What a request got: the model's answer to so many requests, or an error of ours. */
type Answer = { readonly status: number; readonly of: number } | { readonly code: string };

const sizeMax = 40;
const protocol = { merge: () => ({ slices: [] }) } as unknown as BatchProtocol;

/** Batch calls at a model that refuses whatever contains a guilty request, without sockets and clocks between them. */
class Bench {
  readonly metrics = new CompanionMetrics(noGauges);
  readonly lanes = new LaneTable(() => 0);
  readonly answers = new Map<number, Answer[]>();
  readonly limits: number[] = [];
  /** Status by the requests of a call. */
  model: (ids: readonly number[]) => number = () => 200;
  expectedMs = 0;
  calls = 0;
  resends = 0;
  outcomes: Outcome[] = [];
  readonly #seen = new Set<number>();
  readonly #guard = strictGuard();
  readonly #context: CallContext;
  readonly #idOf = new WeakMap<object, number>();

  constructor() {
    const scheduler = {
      lanes: this.lanes,
      signals: { expectedMs: () => this.expectedMs },
      limitLane: (_lane: unknown, most: number) => this.limits.push(most),
      noteReplyPath: () => {},
    } as unknown as CallContext['scheduler'];
    const { metrics } = this;
    const warnings = new RareWarnings(new QuietLog());
    this.#context = {
      metrics,
      warnings,
      scheduler,
      budget: new ResendBudget(),
      quarantines: new Quarantines({ metrics, warnings, scheduler }),
      circuit: new Circuit(),
      hardTimeoutMs: () => 5000,
      tracing: undefined,
      guard: this.#guard.guard,
      protocolFailed: (error) => {
        throw error;
      },
    };
  }

  /** Sends requests as one batch; each has so long until its hard deadline. */
  batch(ids: readonly number[], leftMs = 60_000): void {
    const exchanges = ids.map((id) => this.#exchange(id, leftMs));
    const lane = this.lanes.lane('target\u0001\u0001form');
    const finished = (outcome: Outcome) => this.outcomes.push(outcome);
    new BatchCall(this.#context, { exchanges, lane, reason: Reason.Full, predictedMs: 0, finished }).start();
  }

  #exchange(id: number, leftMs: number): Exchange {
    const response = new EventEmitter() as ServerResponse;
    const exchange = new Exchange({} as IncomingMessage, response, protocol, this.#carrier, performance.now());
    exchange.measured = { items: 1, signature: '', uniform: true, holes: [] };
    exchange.hardDeadline = performance.now() + leftMs;
    this.#idOf.set(exchange, id);
    this.#idOf.set(response, id);
    return exchange;
  }

  #told(response: object, answer: Answer): void {
    const id = this.#idOf.get(response) as number;
    this.answers.set(id, [...(this.answers.get(id) ?? []), answer]);
  }

  readonly #carrier: Carrier = {
    callBytesMax: 1e9,
    send: (part, _merged, done) => {
      const ids = part.map((each) => this.#idOf.get(each) as number);
      this.calls++;
      if (ids.some((each) => this.#seen.has(each))) this.resends++;
      for (const each of ids) this.#seen.add(each);
      done({ status: this.model(ids), headers: [], body: Buffer.from('a reply') });
      return () => {};
    },
    restored: (_part, end) => end,
    judge: ({ status }) => ({
      kind: status === 200 ? 'answered' : status === 413 ? 'too-large' : 'content',
      label: '4xx',
      reason: 'upstream',
      fault: false,
    }),
    fits: () => true,
    split: (part) => part.map((each) => ({ slices: [Buffer.from(String(this.#idOf.get(each)))] })),
    writer:
      ({ status }: UpstreamReply, of) =>
      (response, own) => {
        if (status === 200) assert.is(Number(own.slices[0]), this.#idOf.get(response), 'its own part');
        this.#told(response, { status, of });
      },
    fail: (response, code) => this.#told(response, { code }),
  };
}

suite('bisection', (test) => {
  test('nothing is sent again that would come too late, and the refusal of others goes to nobody', () => {
    const bench = new Bench();
    bench.model = (ids) => (ids.includes(2) ? 400 : 200);
    bench.expectedMs = 500;
    bench.batch([0, 1, 2, 3], 400);
    assert.is(bench.calls, 1);
    for (let id = 0; id < 4; id++) assert.equal(bench.answers.get(id), [{ code: 'PL_BATCH_REFUSED' }]);
    bench.batch([4, 5, 2, 6], 30_000);
    assert.equal(bench.answers.get(4), [{ status: 200, of: 2 }]);
  });

  test('a poisoned request alone gets its refusal', () => {
    const bench = new Bench();
    bench.model = (ids) => (ids.includes(5) ? 422 : 200);
    bench.batch(Array.from({ length: 16 }, (_, i) => i));
    for (let id = 0; id < 16; id++) {
      const [answer, ...more] = bench.answers.get(id) ?? [];
      assert.is(more.length, 0);
      assert.is(answer && 'status' in answer && answer.status, id === 5 ? 422 : 200);
    }
    assert.is(bench.resends, 8);
    assert.is(bench.limits.length, 0);
  });

  test('batches that are refused whose requests succeed alone: the third time they are served one by one', () => {
    const bench = new Bench();
    bench.model = (ids) => (ids.length > 1 ? 500 : 200);
    for (let batch = 0; batch < 4; batch++) bench.batch([4 * batch, 4 * batch + 1, 4 * batch + 2, 4 * batch + 3]);
    assert.equal(bench.limits, [1]);
    for (let id = 0; id < 16; id++) assert.equal(bench.answers.get(id), [{ status: 200, of: 1 }]);
    assert.is(bench.calls, 3 * 7 + 4, 'the fourth batch was not tried together');
  });

  test('whatever is refused: each caller gets one answer, its own, and resends keep to the budget but for the last batch that was shared', () => {
    const history = fc.array(fc.tuple(fc.integer({ min: 1, max: sizeMax }), fc.integer({ min: 0, max: 3 })), {
      minLength: 1,
      maxLength: 120,
    });
    const one = fc.tuple(history, fc.constantFrom(0.02, 0.1, 0.5), fc.integer());
    fc.assert(
      fc.property(one, ([batches, share, seed]) => {
        const bench = new Bench();
        const guilty = (id: number) => ((Math.imul(id + seed, 0x9e3779b1) >>> 0) / 2 ** 32 < share ? 400 : 200);
        bench.model = (ids) => Math.max(...ids.map(guilty));
        let next = 0;
        for (const [size, quiet] of batches) {
          // Calls of one request, which earn what others spend.
          for (let i = 0; i < 10 * quiet; i++) bench.batch([next++]);
          const boughtBefore = bench.resends;
          bench.batch(Array.from({ length: size }, (_, i) => next + i));
          const spent = bench.resends - boughtBefore;
          for (let id = next; id < next + size; id++) {
            const [answer, ...more] = bench.answers.get(id) ?? [];
            assert.is(more.length, 0, 'one answer');
            assert.ok(answer, 'an answer');
            assert.is('status' in answer && answer.status, guilty(id), 'its own');
            if ('status' in answer && answer.status !== 200) {
              assert.is(answer.of, 1, 'nobody hears what was said to several');
            }
          }
          const owed = bench.limits.length > 0 ? sizeMax : 0;
          const most = resendShare * bench.calls + resendReserve + owed;
          assert.ok(bench.resends <= most, `${bench.resends} of ${bench.calls}`);
          assert.ok(spent <= 2 * size);
          next += size;
        }
      }),
      { numRuns: 60 },
    );
  });
});
