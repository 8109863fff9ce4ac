import * as assert from 'uvu/assert';
import {
  companionOptionSpecs,
  environmentName,
  OptionsError,
  resolveCompanionOptions,
  unknownVariables,
} from '../../src/policy/companion-options.ts';
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

  test('every kind refuses what is not one', () => {
    for (const [flag, text, message] of [
      ['slo', '0ms', /write it as 200ms/],
      ['port', '65536', /from 0 to 65535/],
      ['host', 'two words', /such as 0\.0\.0\.0/],
      ['slo-percentile', '0.99', /such as 99/],
      ['patience', '-1', /write auto/],
      ['max-batch-size', '0', /from 1 to 1024/],
      ['late', 'Defer', /one of: defer, shed/],
      ['late-timeout', '1', /write it as 200ms/],
      ['max-waiting', '1e3', /from 1 to 100000/],
      ['max-waiting-bytes', '1KB', /from 65536/],
      ['max-in-flight', '257', /from 1 to 256/],
      ['mode', 'advice', /one of: act, advise, off/],
      ['readiness-probe', 'tcp', /not JSON/],
      ['queue-proxy', '1', /one of: true, false/],
      ['policy-keys', 'abc', /Ed25519/],
      ['variant-of', 'a/b', /not a model's name/],
      ['model-name', 'a b', /not a model's name/],
      ['trust-headers', 'yes', /one of: true, false/],
      ['share-across-headers', 'a b', /not a header name/],
      ['readiness-path', 'v2/health', /begins with \//],
      ['body-timeout', 'soon', /write it as 200ms/],
      ['drain-timeout', '2h', /write it as 200ms/],
      ['log-level', 'loud', /one of: debug/],
    ] as const) {
      assert.throws(() => resolveCompanionOptions({ ...needed, [flag]: text }, {}), message, `--${flag} ${text}`);
    }
  });

  test('what Kubernetes says of a Service named paceline is not taken for an option', () => {
    const links = {
      PACELINE_PORT: 'tcp://10.0.0.7:9081',
      PACELINE_ADMIN_PORT: 'tcp://10.0.0.8:9082',
      PACELINE_SERVICE_HOST: '10.0.0.7',
      PACELINE_SERVICE_PORT: '9081',
      PACELINE_SERVICE_PORT_HTTP: '9081',
      PACELINE_PORT_9081_TCP: 'tcp://10.0.0.7:9081',
      PACELINE_PORT_9081_TCP_ADDR: '10.0.0.7',
      PACELINE_CONTROLLER_PORT: 'tcp://10.0.0.9:443',
    };
    const options = resolveCompanionOptions(needed, links);
    assert.is(options.port, 9081);
    assert.is(options.adminPort, 9082);
    assert.equal(unknownVariables(links), []);
    assert.throws(() => resolveCompanionOptions(needed, { PACELINE_PORT: 'http' }), /PACELINE_PORT: "http"/);
    assert.throws(() => resolveCompanionOptions({ slo: '1s' }, { PACELINE_UPSTREAM: 'tcp://x:1' }), /not an http/);
  });

  test('a mistyped variable is named with the one that was meant', () => {
    assert.equal(unknownVariables({ PACELINE_MAXWAITING: '3', PACELINE_SLO: '1s', OTHER: 'x', PACELINE_COLOUR: '1' }), [
      { name: 'PACELINE_MAXWAITING', meant: 'PACELINE_MAX_WAITING' },
      { name: 'PACELINE_COLOUR', meant: undefined },
    ]);
    // This option has Knative's name for its variable: what its flag suggests is read by nobody.
    assert.equal(unknownVariables({ PACELINE_READINESS_PROBE: '{}', SERVING_READINESS_PROBE: '{}' }), [
      { name: 'PACELINE_READINESS_PROBE', meant: 'SERVING_READINESS_PROBE' },
    ]);
  });

  test('every default is a value that its option accepts, and every flag has a variable of its own', () => {
    for (const { flag, kind, fallback } of companionOptionSpecs) {
      if (typeof fallback === 'string') assert.not.throws(() => kind.parse(fallback), flag);
    }
    assert.is(new Set(companionOptionSpecs.map(({ flag }) => environmentName(flag))).size, companionOptionSpecs.length);
    assert.is(environmentName('max-waiting'), 'PACELINE_MAX_WAITING');
  });

  test('options that contradict each other are refused', () => {
    assert.throws(() => resolveCompanionOptions({ ...needed, 'late-timeout': '100ms' }, {}), /shorter than --slo/);
    assert.throws(() => resolveCompanionOptions({ ...needed, port: '80', 'admin-port': '80' }, {}), /the same/);
    for (const flag of ['variant-of', 'model-name'])
      assert.throws(() => resolveCompanionOptions({ ...needed, [flag]: 'm' }, {}), /go together/);
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
