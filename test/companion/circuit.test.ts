import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { Circuit, type CircuitState, circuitTerms, type Entry } from '../../src/companion/upstream/circuit.ts';
import { suite } from '../support/suite.ts';

const { failures, failingMs, firstPauseMs, pauseMaxMs, tryMs } = circuitTerms;

/** A circuit of which so many calls in a row, this far apart, found no model. */
function failing(times: number, apartMs: number, answeredBefore = true): { circuit: Circuit; now: number } {
  const circuit = new Circuit();
  if (answeredBefore) circuit.answered(0);
  let now = 0;
  for (let i = 0; i < times; i++) {
    circuit.absent(now, circuit.enter(now), 'reset');
    now += apartMs;
  }
  return { circuit, now: now - apartMs };
}

suite('circuit', (test) => {
  test('few failures, or many at one moment, refuse nothing', () => {
    assert.is(failing(failures - 1, failingMs).circuit.state, 'closed');
    const { circuit } = failing(100, 0);
    assert.is(circuit.state, 'closed', 'one of several workers died, with all its calls');
    assert.is(circuit.enter(1), 'goes');
  });

  test('a model that is silent is given up only once callers would have waited in vain all the time', () => {
    const circuit = new Circuit();
    const hardTimeoutMs = 1000;
    // Calls from 0 on, one each 50 ms; each is in vain after half a second.
    for (let sentAt = 0; sentAt + 500 < hardTimeoutMs; sentAt += 50) {
      circuit.absent(sentAt + 500, 'goes', 'silent', sentAt, hardTimeoutMs);
    }
    assert.is(circuit.state, 'closed', 'it stood still for less: whoever came meanwhile is served');
    circuit.absent(hardTimeoutMs, 'goes', 'silent', 500, hardTimeoutMs);
    assert.is(circuit.state, 'open');
  });

  test('calls that one worker let wait say nothing of a model that answered others meanwhile', () => {
    const circuit = new Circuit();
    const hardTimeoutMs = 1000;
    circuit.answered(hardTimeoutMs - 1);
    for (let i = 0; i < 2 * failures; i++) circuit.absent(hardTimeoutMs, 'goes', 'silent', 0, hardTimeoutMs);
    assert.is(circuit.state, 'closed', 'it answered a moment ago');
    circuit.absent(2 * hardTimeoutMs - 1, 'goes', 'silent', hardTimeoutMs, hardTimeoutMs);
    assert.is(circuit.state, 'open', 'nothing was answered ever since');
  });

  test('a reset behind silence opens it no sooner than one behind resets', () => {
    const circuit = new Circuit();
    const hardTimeoutMs = 1000;
    for (let i = 1; i < failures; i++) circuit.absent(500, 'goes', 'silent', 0, hardTimeoutMs);
    circuit.absent(501, 'goes', 'reset');
    assert.is(circuit.state, 'closed', 'all at one moment');
    circuit.absent(500 + failingMs, 'goes', 'reset');
    assert.is(circuit.state, 'open');
  });

  test('an answer between failures begins the count anew', () => {
    const circuit = new Circuit();
    for (let now = 0; now < 10_000; now += 50) {
      circuit.absent(now, 'goes', 'reset');
      if ((now / 50) % (failures - 1) === 0) circuit.answered(now);
    }
    assert.is(circuit.state, 'closed');
  });

  test('calls that say nothing about the model change nothing', () => {
    const circuit = new Circuit();
    for (let now = 0; now < 10_000; now += 50) circuit.abandoned(now, circuit.enter(now));
    assert.is(circuit.state, 'closed');
  });

  test('it opens, lets one try through after the pause, and an answer closes it', () => {
    const { circuit, now } = failing(failures, failingMs);
    assert.is(circuit.state, 'open');
    assert.is(circuit.pauseLeft(now), firstPauseMs);
    assert.ok(circuit.refuses(now + firstPauseMs - 1));
    assert.is(circuit.enter(now + firstPauseMs - 1), 'refused');
    assert.not(circuit.refuses(now + firstPauseMs));
    assert.is(circuit.enter(now + firstPauseMs), 'tries');
    assert.is(circuit.state, 'half-open');
    assert.is(circuit.enter(now + firstPauseMs), 'refused', 'one at a time');
    circuit.answered(now);
    assert.is(circuit.state, 'closed');
    assert.is(circuit.enter(now + firstPauseMs), 'goes');
  });

  test('pauses double to their bound, and begin anew after an answer', () => {
    let { circuit, now } = failing(failures, failingMs);
    let pause = firstPauseMs;
    for (let i = 0; i < 12; i++) {
      assert.is(circuit.pauseLeft(now), pause);
      now += pause;
      circuit.absent(now, circuit.enter(now), 'reset');
      pause = Math.min(pauseMaxMs, pause * 2);
    }
    assert.is(pause, pauseMaxMs);
    circuit.answered(now);
    for (let i = 0; i < failures; i++) {
      now += failingMs;
      circuit.absent(now, 'goes', 'reset');
    }
    assert.is(circuit.pauseLeft(now), firstPauseMs);
  });

  test('before the model has answered once pauses stay short, and readiness ends any', () => {
    const { circuit, now } = failing(failures, failingMs, false);
    for (let i = 1; i < 20; i++) circuit.absent(now + i * firstPauseMs, circuit.enter(now + i * firstPauseMs), 'reset');
    assert.is(circuit.pauseLeft(now + 19 * firstPauseMs), firstPauseMs);
    const known = failing(failures, failingMs);
    known.circuit.modelReady(known.now);
    assert.is(known.circuit.enter(known.now), 'tries');
    known.circuit.modelReady(known.now);
    assert.is(known.circuit.enter(known.now), 'refused', 'a try is under way');
  });

  test('a try whose caller leaves, or that hangs, is in nobody’s way', () => {
    const { circuit, now } = failing(failures, failingMs);
    const at = now + firstPauseMs;
    circuit.abandoned(at, circuit.enter(at));
    assert.is(circuit.enter(at), 'tries');
    assert.is(circuit.enter(at + tryMs - 1), 'refused');
    assert.is(circuit.enter(at + tryMs), 'tries');
  });

  test('calls from before the circuit opened do not keep it open', () => {
    const { circuit, now } = failing(failures, failingMs);
    for (let i = 0; i < 50; i++) circuit.absent(now + i, 'goes', 'reset');
    assert.is(circuit.enter(now + firstPauseMs), 'tries');
  });

  test('whatever happens: at most one try each pause or second, and an answer always closes it', () => {
    const event = fc.tuple(
      fc.integer({ min: 0, max: 400 }),
      fc.constantFrom('answered', 'absent', 'abandoned', 'ready'),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), (events) => {
        const seen: CircuitState[] = [];
        const circuit = new Circuit((state) => seen.push(state));
        let now = 0;
        for (const [after, what] of events) {
          now += after;
          if (what === 'ready') {
            circuit.modelReady(now);
            continue;
          }
          const refuses = circuit.refuses(now);
          const entry: Entry = circuit.enter(now);
          assert.is(entry === 'refused', refuses, 'who asks and who enters hear the same');
          if (entry === 'tries') assert.ok(circuit.refuses(now), 'the next one waits');
          if (entry === 'refused') continue;
          if (what === 'answered') circuit.answered(now);
          else if (what === 'absent') circuit.absent(now, entry, 'reset');
          else circuit.abandoned(now, entry);
          if (what === 'answered') assert.is(circuit.state, 'closed');
          assert.ok(circuit.pauseLeft(now) <= pauseMaxMs);
        }
        for (const [i, state] of seen.entries()) assert.is(state, i % 2 === 0 ? 'open' : 'closed', 'each change once');
      }),
      { numRuns: 300 },
    );
  });
});
