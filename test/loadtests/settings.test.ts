import { CommanderError } from 'commander';
import * as assert from 'uvu/assert';
import { completed, type LoadSettings, readArguments } from '../../loadtests/settings.ts';
import { suite } from '../support/suite.ts';

/** What is said about a command line, and the status that it ends with. */
function refused(...args: string[]): { status: number; said: string } {
  let said = '';
  try {
    readArguments(args, new Date(0), (text) => {
      said += text;
    });
  } catch (error) {
    if (error instanceof CommanderError) return { status: error.exitCode, said };
    throw error;
  }
  throw new Error('it was accepted');
}

function settingsOf(...args: string[]): LoadSettings {
  const asked = readArguments(args, new Date('2026-01-02T03:04:05Z'), () => {});
  if (asked.do === 'build-k6') throw new Error('it builds');
  return asked.settings;
}

suite('command line of the load test', (test) => {
  for (const [args, complaint] of [
    [[], /name a scenario: steady, step, spike, scale-from-zero, canary, compare/],
    [['stedy'], /Did you mean steady\?/],
    [['zzzzzzzzzz'], /There are steady, step/],
    [['st'], /It could be steady or step/],
    [['step'], /say where the service is: --target/],
    [['step', '--target', 'localhost:8080'], /write it as http:\/\/127/],
    [['step', '--target', 'http://a', '--slo', '500'], /write it as 200ms/],
    [['step', '--target', 'http://a', '--percentile', '1'], /not a percentile/],
    [['step', '--target', 'http://a', '--price', 'cheap'], /such as 0.40\/h/],
    [['step', '--target', 'http://a', '--rate', 'fast'], /not a whole number from 1/],
    [['step', '--target', 'http://a', '--body', 'nowhere.json'], /no file nowhere.json/],
    [['step', '--target', 'http://a', '--body', 'tsconfig.json'], /neither a V1 request/],
    [['compare', '--target', 'http://a'], /without Paceline: --baseline/],
    [['step', '--target', 'http://a', '--kubeconfig', 'x'], /name it with --service/],
    [['step', '--target', 'http://a', '--taget', 'x'], /Did you mean --target\?/],
  ] as const) {
    test(`wrong: ${args.join(' ') || 'nothing'}`, () => {
      const { status, said } = refused(...args);
      assert.is.not(status, 0);
      assert.match(said, complaint);
    });
  }

  test('help names every scenario and is no failure', () => {
    const { status, said } = refused('--help');
    assert.is(status, 0);
    assert.match(said, /scale-from-zero +a service without pods/);
    assert.match(said, /exit status is 0 when every threshold held, 99/);
  });

  test('the beginning of a name is enough where it is one of a kind', () => {
    assert.equal(
      ['ste', 'sc', 'c', 'step'].map((typed) => {
        try {
          return completed(typed);
        } catch {
          return '?';
        }
      }),
      ['?', 'scale-from-zero', '?', 'step'],
    );
  });

  test('where nothing is said, the defaults are those of the scenario', () => {
    const { plan, out, quantile, watched } = settingsOf('step', '--target', 'http://gateway');
    assert.equal([plan.sloMs, quantile, plan.phases[0]?.rate, watched], [500, 0.99, 40, []]);
    assert.equal(plan.sides, [{ name: 'service', url: 'http://gateway/v1/models/model:predict' }]);
    assert.is(out, '.cache/loadtests/step-2026-01-02T030405');
  });

  test('a comparison through one ingress needs two Host headers, which name the services too', () => {
    const { plan, watched } = settingsOf(
      'compare',
      '--target',
      'http://gateway',
      '--host',
      'a.models.example.com',
      '--baseline-host',
      'b-predictor.models.example.com',
      '--namespace',
      'models',
    );
    assert.equal(
      plan.sides.map(({ name, url, host }) => [name, url, host]),
      [
        ['paceline', 'http://gateway/v1/models/model:predict', 'a.models.example.com'],
        ['baseline', 'http://gateway/v1/models/model:predict', 'b-predictor.models.example.com'],
      ],
    );
    assert.equal(watched, [
      { side: 'paceline', namespace: 'models', service: 'a' },
      { side: 'baseline', namespace: 'models', service: 'b' },
    ]);
  });

  test('units are read as everywhere else', () => {
    const { plan, price, quantile } = settingsOf(
      'steady',
      '--target',
      'http://a',
      '--slo',
      '1.5s',
      '--percentile',
      '99.5',
      '--duration',
      '2m',
      '--rate',
      '12',
      '--price',
      '24 EUR/day',
    );
    assert.is(plan.sloMs, 1500);
    assert.is(quantile, 0.995);
    assert.is(
      plan.phases.reduce((sum, { seconds }) => sum + seconds, 0),
      120,
    );
    assert.equal(price, { perHour: 1, currency: 'EUR' });
  });
});
