import fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { DomainSettings } from '../../src/kernels/batching.ts';
import { createBatchingDomain } from '../../src/kernels/batching-domain.ts';
import { Reason } from '../../src/kernels/reasons.ts';
import { audit } from '../support/domain-auditor.ts';
import { histories, historySettings } from '../support/domain-history.ts';
import { playBeside } from '../support/domain-players.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { suite } from '../support/suite.ts';

/** Clocks of hosts that have been up for a while: around what 31 and 32 bits of ms hold, and eleven days. */
const starts = [0, 1e9, 2 ** 31, 2 ** 32] as const;

const anySettings = fc.record<DomainSettings>({
  sloMs: fc.constantFrom(20, 200, 1000),
  sloQuantile: fc.constantFrom(0.5, 0.99),
  patience: fc.constantFrom(-1, 0, 0.4, 1),
  maxBatchItems: fc.constantFrom(8, 64),
  deferLate: fc.constant(true),
  lateTimeoutMs: fc.constantFrom(100, 1000),
  maxWaiting: fc.constantFrom(1, 7, 64),
  maxLanes: fc.constant(3),
  maxInFlight: fc.integer({ min: 1, max: 4 }),
});

for (const flavour of ['simd', 'scalar', 'debug'] as const) {
  suite(`batching kernel beside its plain reference (${flavour})`, (test) => {
    test('says the same, verdict by verdict, at every start of the clock', () => {
      const heard = new Set<string>();
      fc.assert(
        fc.property(histories(false), fc.constantFrom(...starts), (history, start) => {
          const log = playBeside(
            createBatchingDomain(historySettings, start, flavour),
            historySettings,
            history,
            start,
          );
          for (const line of log) heard.add(kindOf(line));
        }),
        propertyRuns(120, 1000),
      );
      // Of no use if the histories never came to it.
      const expected = [
        'admit',
        'defer',
        ...[Reason.QueueFull, Reason.Expired, Reason.Unmeetable].map((reason) => `reject ${reason}`),
        ...[Reason.Expired, Reason.LateOverflow, Reason.LateShed].map((reason) => `refuse ${reason}`),
        ...[Reason.SlotFree, Reason.Full, Reason.Drain, Reason.SpareRoom, Reason.Probe].map(
          (reason) => `send ${reason}`,
        ),
      ];
      assert.equal(
        expected.filter((each) => !heard.has(each)),
        [],
      );
    });

    test('keeps what must hold, whatever the settings', () => {
      const heard = new Set<string>();
      fc.assert(
        fc.property(histories(true), anySettings, fc.constantFrom(...starts), (history, settings, start) => {
          const log = audit(createBatchingDomain(settings, start, flavour), settings, history, start);
          for (const line of log) heard.add(kindOf(line));
        }),
        propertyRuns(250, 2000),
      );
      assert.ok(heard.has(`send ${Reason.Patience}`) && heard.has(`send ${Reason.Deadline}`), [...heard].join());
    });
  });
}

suite('batching kernel (builds agree)', (test) => {
  test('all builds say the same of the same history, and so does one build twice', () => {
    fc.assert(
      fc.property(histories(true), anySettings, fc.constantFrom(...starts), (history, settings, start) => {
        const [first, ...others] = (['simd', 'simd', 'scalar', 'debug'] as const).map((flavour) =>
          audit(createBatchingDomain(settings, start, flavour), settings, history, start),
        );
        for (const other of others) assert.equal(other, first);
      }),
      propertyRuns(60, 3000),
    );
  });
});

/** A verdict's kind and reason. */
function kindOf(line: string): string {
  const words = line.split(' ');
  if (words[0] === 'reject' || words[0] === 'refuse') return `${words[0]} ${words[2]}`;
  return words[0] === 'send' ? `send ${words[4]}` : (words[0] as string);
}
