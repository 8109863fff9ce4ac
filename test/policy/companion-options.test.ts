import * as assert from 'uvu/assert';
import { OptionsError, resolveCompanionOptions } from '../../src/policy/companion-options.ts';
import { suite } from '../support/suite.ts';

const needed = { slo: '200ms', upstream: 'http://127.0.0.1:8081' };

suite('companion options', (test) => {
  test('everything that is wrong is said at once, with the flag and the variable', () => {
    try {
      resolveCompanionOptions({ slo: '5', 'max-batch-size': '0', late: 'maybe' }, { PACELINE_PATIENCE: '2' });
      assert.unreachable();
    } catch (error) {
      assert.instance(error, OptionsError);
      const { problems, code } = error as OptionsError;
      assert.is(code, 'PL_CONFIG_VALUE');
      assert.is(problems.length, 5);
      for (const word of ['--upstream', '--slo', '--max-batch-size', '--late', 'PACELINE_PATIENCE']) {
        assert.ok(
          problems.some((problem) => problem.includes(word)),
          word,
        );
      }
    }
  });

  test('an upstream is plain http with host and port only', () => {
    for (const upstream of ['8081', 'https://x', 'http://x/path', 'http://u:p@x', 'ftp://x', 'http://x?q']) {
      assert.throws(() => resolveCompanionOptions({ ...needed, upstream }, {}), /--upstream/, upstream);
    }
  });

  test('options that contradict each other are refused', () => {
    assert.throws(() => resolveCompanionOptions({ ...needed, 'late-timeout': '100ms' }, {}), /shorter than --slo/);
    assert.throws(() => resolveCompanionOptions({ ...needed, port: '80', 'admin-port': '80' }, {}), /the same/);
  });

  test('flags win over the environment, and both over the defaults', () => {
    const options = resolveCompanionOptions(
      { ...needed, 'max-waiting': '5' },
      { PACELINE_MAX_WAITING: '7', PACELINE_LATE: 'shed' },
    );
    assert.is(options.maxWaiting, 5);
    assert.is(options.late, 'shed');
    assert.is(options.lateTimeoutMs, 1000);
    assert.is(options.patience, -1);
    assert.is(options.sloQuantile, 0.99);
    assert.is(options.maxWaitingBytes, 64e6);
  });
});
