import * as assert from 'uvu/assert';
import { planService } from '../../src/planner/plan-service.ts';
import { SavingsLedger } from '../../src/planner/savings.ts';
import { problem, revision } from '../support/service-problems.ts';
import { suite } from '../support/suite.ts';

suite('what advice would have saved', (test) => {
  const plan = (at: number, currency: string | undefined, saved: number) => ({
    ...planService(problem({ now: at, revisions: [revision({ price: 1 })] })),
    at,
    currency,
    savedPerHour: saved,
  });

  test('nothing from one plan, nothing while the clock stands or runs backwards', () => {
    const ledger = new SavingsLedger();
    ledger.note(plan(1000, 'EUR', 5));
    ledger.note(plan(1000, 'EUR', 5));
    ledger.note(plan(500, 'EUR', 5));
    assert.is(ledger.saved, 0);
  });

  test('cost an hour over time, less where more should have run; another currency begins anew', () => {
    const ledger = new SavingsLedger();
    ledger.note(plan(0, 'EUR', 6));
    ledger.note(plan(1_800_000, 'EUR', -2));
    assert.is(ledger.saved, 3);
    ledger.note(plan(5_400_000, 'EUR', 0));
    assert.is(ledger.saved, 1);
    ledger.note(plan(5_500_000, 'USD', 0));
    assert.is(ledger.saved, 0);
  });
});
