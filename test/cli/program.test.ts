import { spawnSync } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { companionOptionSpecs, variableOf } from '../../src/policy/companion-options.ts';
import { suite } from '../support/suite.ts';

const bundle = fileURLToPath(new URL('../../dist/paceline.mjs', import.meta.url));
const needed = ['--upstream', 'http://127.0.0.1:8081', '--slo', '200ms'];

function run(args: readonly string[], variables: Record<string, string> = {}) {
  const result = spawnSync(process.execPath, [bundle, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...variables },
    timeout: 60_000,
  });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

suite('paceline', (test) => {
  test('unknown commands, flags and shells are refused with the nearest name', () => {
    for (const [args, message] of [
      [['compnion'], /unknown command 'compnion'\n\(Did you mean companion\?\)/],
      [['companion', '--max-wating', '3'], /unknown option '--max-wating'\n\(Did you mean --max-waiting\?\)/],
      [['demo', '--load', '3'], /Did you mean --loads\?/],
      [['companion', '--slo'], /argument missing/],
      [['completion', 'fish'], /bash, zsh/],
      [['demo', '--model', 'digits-huge'], /Allowed choices are digits-linear/],
      [['demo', '--loads', '0'], /--loads.*from 1 to 300/],
      [['baseline', '--upstream', '8081'], /--upstream.*such as http:\/\/127\.0\.0\.1:8081/],
    ] as const) {
      const { code, err, out } = run(args);
      assert.is(code, 2, args.join(' '));
      assert.match(err, message);
      assert.is(out, '');
    }
  });

  test('a companion says all that is wrong with its options at once, and where each came from', () => {
    const { code, err } = run(['companion', '--slo', '200', '--late', 'drop'], { PACELINE_MAX_WAITING: 'many' });
    assert.is(code, 2);
    assert.match(err, /^error \(PL_CONFIG_VALUE\):\n/);
    assert.match(err, /\n {2}--upstream \(or PACELINE_UPSTREAM\) is required: the model server, such as http/);
    assert.match(err, /\n {2}--slo: "200" is not a duration .*: write it as 200ms/);
    assert.match(err, /\n {2}--late: "drop" is not one of: defer, shed\n/);
    assert.match(err, /\n {2}PACELINE_MAX_WAITING: "many" is not a whole number from 1 to 100000\n/);
    assert.not.match(err, /\bat .*\.mjs/);
  });

  test('start refuses bad options before it starts anything', () => {
    const { code, err, out } = run(['start', '--slo', '5'], { PACELINE_PATIENCE: 'lots' });
    assert.is(code, 2);
    assert.match(err, /--slo: "5"/);
    assert.match(err, /PACELINE_PATIENCE: "lots" is not a patience: write auto/);
    assert.is(out, '');
  });

  let taken: Server | undefined;
  test.after(() => void taken?.close());

  test('a port that is taken ends in a sentence, not in a stack', async () => {
    const server = createServer();
    taken = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const port = String((server.address() as { port: number }).port);
    for (const args of [
      ['companion', ...needed, '--host', '127.0.0.1', '--port', port],
      ['start', '--port', port],
      ['digits', '--port', port],
      ['baseline', '--upstream', 'http://127.0.0.1:1', '--port', port],
    ]) {
      const { code, err } = run(args);
      assert.is(code, 1, args[0]);
      assert.match(err, /EADDRINUSE/, args[0]);
      assert.not.match(err, /\n\s+at /, args[0]);
    }
  });

  test('--dry-run prints the configuration that flags and variables give, and starts nothing', () => {
    const { code, out, err } = run(['companion', ...needed, '--dry-run'], {
      PACELINE_LATE: 'shed',
      PACELINE_PORT: '0',
    });
    assert.is(code, 0, err);
    const shown = JSON.parse(out);
    assert.is(shown.upstream, 'http://127.0.0.1:8081');
    assert.is(shown.sloMs, 200);
    assert.is(shown.late, 'shed');
    assert.is(shown.port, 0);
    assert.is(shown.sloPercentile, 99);
    assert.is(shown.patience, 'auto');
    for (const { key } of companionOptionSpecs) assert.ok(key === 'sloQuantile' || key in shown, key);
  });

  test('help is the map: every command, and every option with its variable', () => {
    const help = run(['--help']).out;
    for (const command of [
      'start',
      'demo',
      'simulate',
      'replay',
      'companion',
      'digits',
      'variants',
      'baseline',
      'completion',
    ]) {
      assert.match(help, new RegExp(`^ {2}${command} .*\\S`, 'm'));
    }
    const companion = run(['companion', '--help']).out;
    for (const spec of companionOptionSpecs) {
      assert.ok(companion.includes(`--${spec.flag} <`), spec.flag);
      assert.ok(companion.includes(variableOf(spec)), spec.flag);
    }
  });

  test('the version is the package’s', () => {
    assert.match(run(['--version']).out, /^\d+\.\d+\.\d+\n$/);
  });

  test('completion knows commands and flags', () => {
    const script = run(['completion', 'bash']).out;
    const complete = (...words: string[]) =>
      spawnSync(
        'bash',
        [
          '-c',
          `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _paceline; echo "\${COMPREPLY[*]}"`,
          'bash',
          ...words,
        ],
        { encoding: 'utf8' },
      ).stdout.trim();
    assert.is(complete('paceline', 'co'), 'companion controller completion');
    assert.is(
      complete('paceline', 'companion', '--max'),
      '--max-batch-size --max-waiting --max-waiting-bytes --max-in-flight',
    );
    assert.is(complete('paceline', 'completion', 'z'), 'zsh');
    assert.is(complete('paceline', 'nothing', '--'), '');
    assert.match(run(['completion', 'zsh']).out, /^autoload -U \+X bashcompinit && bashcompinit\n/);
  });

  test('variants prints accuracy, cost and what a batch gains, for each variant', () => {
    const { code, out, err } = run(['variants', '--batch', '2']);
    assert.is(code, 0, err);
    const rows = out.split('\n').filter((line) => /^digits-\w+ .* \d+\.\d\d %.* ms .* \d+\.\d\d$/.test(line));
    assert.is(rows.length, 4, out);
  });
});
