import * as assert from 'uvu/assert';
import { Random } from '../../src/simulator/random.ts';
import { type Answer, type Rig, withRig } from '../support/companion.ts';
import { readMetricsPage } from '../support/metrics-page.ts';
import type { Behaviour, SeenCall } from '../support/model-server.ts';
import { suite } from '../support/suite.ts';

const requests = 100_000;
const callers = 96;
/** Lanes are used for a part of the run: a reply that cannot be split ends batching in its lane for good. */
const epochs = 60;
const lanesAnEpoch = 4;
/**
 * When a request gets 504, whatever the model does: so many times what a request takes without faults, because a slow machine
 * makes everything slower but this.
 */
const hardTimes = 40;
const hardMsMin = 1500;
const hardMsMax = 12_000;
const calibrationRequests = 3000;
const faultShare = 0.02;
const poisonEvery = 1999;
const closeEvery = 997;
const refusals: Behaviour[] = [400, 422, 500, 413];
const unsplittable: Behaviour[] = ['few', 'many', 'not-json'];
const rest: Behaviour[] = ['reset', 'truncate', 'close', 429, 503];
/** Hangs are rarer: each holds a slot until the deadline. */
const faults: Behaviour[] = [
  'hang',
  ...Array(4)
    .fill([...refusals, ...unsplittable, ...rest])
    .flat(),
];

suite('companion: chaos', (test) => {
  test(`${requests} requests with faults: each caller gets exactly its own answer`, async () => {
    const hardMs = Math.round(Math.min(hardMsMax, Math.max(hardMsMin, hardTimes * (await usualMs()))));
    const slo = `${Math.round(hardMs / 3)}ms`;
    await withRig({ slo, 'late-timeout': `${hardMs}ms` }, async (rig) => {
      const dice = new Random(7);
      const ledger = new Ledger(hardMs);
      rig.model.keepCalls = false;
      rig.model.timeMs = () => 2;
      rig.model.behave = (call, number) => {
        const fault = dice.uniform() < faultShare ? faults[Math.floor(dice.uniform() * faults.length)] : undefined;
        const behaviour = call.items.some((item) => String(item).startsWith('poison')) ? 500 : (fault ?? 'ok');
        ledger.executed(call, behaviour);
        if (number % closeEvery === closeEvery - 1) ledger.closed(rig.model.closeConnections());
        return behaviour;
      };
      const statuses = new Map<number, number>();
      let next = 0;
      const caller = async () => {
        while (next < requests) {
          const id = next++;
          const path = `/v1/models/m${Math.floor((id * epochs) / requests)}-${id % lanesAnEpoch}:predict`;
          const sentAt = performance.now();
          const answer = await rig.call(path, JSON.stringify({ instances: itemsOf(id) }));
          ledger.explain(id, answer, sentAt, performance.now());
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        }
      };
      // After a failed check the callers finish what they have begun: a rig that stops under load would hide it.
      let failure: unknown;
      const stopAll = (error: unknown) => {
        failure ??= error;
        next = requests;
      };
      await Promise.all(Array.from({ length: callers }, () => caller().catch(stopAll)));
      if (failure) throw failure;

      const seen = JSON.stringify({ ...ledger.counts, statuses: [...statuses] });
      assert.is(
        [...statuses.values()].reduce((sum, each) => sum + each, 0),
        requests,
      );
      assert.ok(ledger.counts.waitedInVain <= 0.005 * requests, seen);
      assert.ok(ledger.counts.calls < 0.8 * requests, seen);
      // Resends are a small part of the calls here: the budget leaves nobody without a try of its own.
      assert.is(ledger.counts.refusedWithOthers, 0, seen);
      await expectAnnounced(rig, ledger, seen);
    });
  });
});

/** What a request takes here without faults, at the same load; ms. */
async function usualMs(): Promise<number> {
  const took: number[] = [];
  await withRig({ slo: '500ms', 'late-timeout': '60s' }, async (rig) => {
    rig.model.keepCalls = false;
    rig.model.timeMs = () => 2;
    const caller = async () => {
      while (took.length < calibrationRequests) {
        const from = performance.now();
        await rig.predict('usual');
        took.push(performance.now() - from);
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
  });
  return took.sort((one, other) => one - other)[took.length >> 1] as number;
}

/** One or two items, so that parts of a reply have different sizes. All are texts: rows of one form share a batch. */
function itemsOf(id: number): string[] {
  const first = id % poisonEvery === 7 ? `poison-${id}` : `${id}`;
  return id % 3 === 0 ? [first, `${id}b`] : [first];
}

function idOf(item: unknown): number {
  return Number(/^(?:poison-)?(\d+)b?$/.exec(String(item))?.[1]);
}

/** One execution at the model. */
interface Execution {
  readonly ids: readonly number[];
  readonly behaviour: Behaviour;
  /** The first execution of the batch that this one is a part of, or sends again. */
  readonly root: Execution;
  readonly isRetry: boolean;
  /** The connection was closed before the reply was known to be out. */
  lost: boolean;
  /** On a root: whether it or a part of it was left without a reply. */
  hung: boolean;
}

/**
 * What the model did, by request, and whether each answer and each execution after the first one follow from it:
 *
 * ```
 *   [a b c d] 500 ──► [a b] ok           halves of what was refused for its content or its size
 *                     [c d] few ──► [c] ok, [d] ok      each alone where a reply cannot be split
 *   [e f] reset ──► [e f] ok             once more where a kept connection died
 * ```
 */
class Ledger {
  readonly counts = {
    calls: 0,
    batched: 0,
    halves: 0,
    singles: 0,
    retries: 0,
    waitedInVain: 0,
    lostUnseen: 0,
    refusedWithOthers: 0,
  };
  readonly #hardMs: number;
  readonly #ofRequest = new Map<number, Execution[]>();
  readonly #ofCall = new Map<SeenCall, Execution>();
  readonly #closes: number[] = [];

  constructor(hardMs: number) {
    this.#hardMs = hardMs;
  }

  executed(call: SeenCall, behaviour: Behaviour): void {
    const ids = [...new Set(call.items.map(idOf))];
    assert.equal(call.items, ids.flatMap(itemsOf), 'requests of a batch are whole and in one piece');
    const before = ids.map((id) => this.#ofRequest.get(id)?.at(-1));
    const previous = before[0];
    assert.ok(
      before.every((each) => each === previous),
      `${ids} were at the model apart`,
    );
    const kind = previous === undefined ? 'first' : this.#resend(previous, ids);
    const execution: Execution = {
      ids,
      behaviour,
      isRetry: kind === 'retries',
      lost: false,
      hung: false,
      get root() {
        return previous?.root ?? execution;
      },
    };
    if (behaviour === 'hang') {
      execution.root.hung = true;
    }
    this.counts.calls++;
    if (ids.length > 1) this.counts.batched++;
    if (kind !== 'first') this.counts[kind]++;
    this.#ofCall.set(call, execution);
    for (const id of ids) this.#ofRequest.set(id, [...(this.#ofRequest.get(id) ?? []), execution]);
  }

  /** Connections were closed, and the replies of these calls with them. */
  closed(calls: readonly SeenCall[]): void {
    this.#closes.push(performance.now());
    for (const call of calls) (this.#ofCall.get(call) as Execution).lost = true;
  }

  /** Which of the announced resends this is. @throws when it is none: then the model did the same work twice. */
  #resend(previous: Execution, ids: readonly number[]): 'halves' | 'singles' | 'retries' {
    const many = previous.ids.length > 1;
    const half = previous.ids.length >> 1;
    const halves = [previous.ids.slice(0, half), previous.ids.slice(half)];
    // Requests whose callers have been answered meanwhile are left out.
    if (many && refusals.includes(previous.behaviour) && halves.some((each) => ids.every((id) => each.includes(id)))) {
      return 'halves';
    }
    if (many && unsplittable.includes(previous.behaviour) && ids.length === 1) return 'singles';
    const died = previous.behaviour === 'reset' || previous.lost;
    if (died && !previous.isRetry && String(ids) === String(previous.ids)) return 'retries';
    throw new Error(`${ids} were executed again after ${previous.behaviour} of ${previous.ids}`);
  }

  /** Checks that an answer is what the model's last word on this request comes to. */
  explain(id: number, answer: Answer, sentAt: number, answeredAt: number): void {
    const executions = this.#ofRequest.get(id) ?? [];
    const last = executions.at(-1);
    const told = `${id} got ${answer.status} ${answer.text} after ${executions.map((each) => `${each.behaviour} of ${each.ids.length}`)}`;
    const within = (times: readonly number[], from: number) => times.some((at) => at >= from && at <= answeredAt);
    if (answer.status === 504) {
      // A reply that never comes ends its own batch. Others may wait in vain for a slot, but until the deadline only.
      if (!last?.root.hung) {
        assert.ok(answeredAt - sentAt >= 0.95 * this.#hardMs, told);
        this.counts.waitedInVain++;
      }
      return;
    }
    if (answer.status === 502) {
      assert.is(answer.json.code, 'PL_UPSTREAM_RESET', told);
      // The connection may have been closed before the model had read the call, also that of a half or of a single one.
      const sentApart = [...refusals, ...unsplittable].includes(last?.behaviour ?? 'ok') && (last?.ids.length ?? 0) > 1;
      if ((last === undefined || sentApart) && within(this.#closes, sentAt)) this.counts.lostUnseen++;
      else assert.ok(last?.behaviour === 'reset' || last?.behaviour === 'truncate' || last?.lost, told);
      return;
    }
    assert.ok(last, told);
    const { behaviour } = last;
    if (answer.json.code === 'PL_BATCH_REFUSED') {
      const failed = refusals.includes(behaviour) || unsplittable.includes(behaviour);
      assert.ok(failed && last.ids.length > 1, told);
      this.counts.refusedWithOthers++;
      return;
    }
    if (typeof behaviour === 'number') {
      assert.ok(last.ids.length === 1 || !refusals.includes(behaviour), `neighbours were not tried apart: ${told}`);
      assert.is(answer.status, behaviour, told);
      assert.equal(answer.json, { detail: `the model says ${behaviour}` }, told);
      return;
    }
    assert.is(answer.status, 200, told);
    const own = itemsOf(id).map((item) => ({ echo: item }));
    if (behaviour === 'ok' || behaviour === 'close') return assert.equal(answer.json, { predictions: own }, told);
    // The reply to a request alone is the model's own, right or wrong.
    assert.ok(unsplittable.includes(behaviour) && last.ids.length === 1, told);
    const wrong = behaviour === 'few' ? own.slice(1) : behaviour === 'many' ? [...own, { echo: 0 }] : own;
    assert.is(
      answer.text,
      `${behaviour === 'not-json' ? '<html>' : ''}${JSON.stringify({ predictions: wrong })}`,
      told,
    );
  }
}

/** Every execution after the first one was announced in the metrics, and nothing is left behind. */
async function expectAnnounced(rig: Rig, ledger: Ledger, seen: string): Promise<void> {
  const page = readMetricsPage((await rig.admin('/metrics')).text, false);
  const metric = (name: string, labels = '') => page.get(name)?.samples.get(name + labels) as number;
  const resent = (why: string) => metric('paceline_upstream_resends_total', `{why="${why}"}`) || 0;
  const told = `${seen} bisect ${resent('bisect')} halve ${resent('halve')} unsplittable ${resent('unsplittable')} dead ${resent('dead-connection')}`;
  assert.ok(ledger.counts.halves <= resent('bisect') + resent('halve'), told);
  assert.ok(ledger.counts.singles <= resent('unsplittable'), told);
  assert.ok(ledger.counts.retries <= resent('dead-connection'), told);
  for (const gauge of ['waiting_bytes', 'waiting_requests', 'in_flight_batches'])
    assert.is(metric(`paceline_${gauge}`), 0);
}
