import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { ResendBudget, resendReserve, resendShare } from '../../src/companion/batching/resend-budget.ts';
import { suite } from '../support/suite.ts';

suite('resend budget', (test) => {
  test('resends that are bought are at most a tenth of all calls beyond the reserve, in every stretch of time', () => {
    const event = fc.constantFrom('call', 'call', 'call', 'take', 'take', 'owe');
    fc.assert(
      fc.property(fc.array(event, { maxLength: 3000 }), fc.nat(3000), (events, from) => {
        const budget = new ResendBudget();
        let calls = 0;
        let bought = 0;
        for (const [i, what] of events.entries()) {
          if (what === 'call') budget.called();
          else if (what === 'owe') budget.owe();
          const sent = what === 'take' && budget.take();
          if (i < from) continue;
          if (what === 'call') calls++;
          if (sent) bought++;
          assert.ok(bought <= resendShare * calls + resendReserve + 1e-6, `${bought} bought, ${calls} calls`);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('what is owed is worked off before anything is bought', () => {
    const budget = new ResendBudget();
    for (let i = 0; i < resendReserve + 10; i++) budget.owe();
    for (let i = 0; i < 100; i++) {
      assert.not(budget.take());
      budget.called();
    }
    for (let i = 0; i < 11; i++) budget.called();
    assert.ok(budget.take());
    assert.not(budget.take());
  });
});
