import * as assert from 'uvu/assert';
import { PlanReason, planReasonLabel, planReasonName } from '../../src/kernels/plan-reasons.ts';
import { suite } from '../support/suite.ts';

suite('reasons of plans', (test) => {
  test('a code that does not exist has a label and a name all the same', () => {
    assert.is(planReasonLabel(999 as PlanReason), 'unknown');
    assert.is(planReasonName(999 as PlanReason), 'Unknown');
  });

  test('labels are in kebab case and names in camel case, as Kubernetes wants them', () => {
    assert.is(planReasonLabel(PlanReason.BudgetBelowMinimum), 'budget-below-minimum');
    assert.is(planReasonName(PlanReason.BudgetBelowMinimum), 'BudgetBelowMinimum');
  });
});
