import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { controllerOptionSpecs, resolveControllerOptions } from '../../src/controller/controller-options.ts';
import { environmentName, OptionsError } from '../../src/policy/companion-options.ts';
import { suite } from '../support/suite.ts';

const bundle = fileURLToPath(new URL('../../dist/paceline.mjs', import.meta.url));
const run = (args: string[], env: Record<string, string> = {}) =>
  spawnSync(process.execPath, [bundle, 'controller', ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...env },
  });

suite('paceline controller', (test) => {
  test('all that is wrong is said at once, and ends with 2', () => {
    const { status, stderr } = run(['--image', 'a b', '--webhook-port', '9090', '--tls-cert-file', 'x']);
    assert.is(status, 2);
    for (const word of ['--image', '--webhook-port', '--tls-key-file']) assert.match(stderr, word);
    assert.throws(
      () => resolveControllerOptions({}, { PACELINE_COMPANION_CPU_LIMIT: 'much', PACELINE_CERTIFICATES: 'none' }),
      (error: unknown) => error instanceof OptionsError && error.problems.length === 2,
    );
  });

  test('without a cluster it says what is missing', () => {
    const { status, stderr } = run(['--image', 'a', '--kubeconfig', '/nonexistent/kubeconfig']);
    assert.is.not(status, 0);
    assert.match(stderr, /kubeconfig/);
    const home = { HOME: '/nonexistent' };
    assert.match(run(['--image', 'a'], home).stderr, /^error: no cluster is configured: set KUBECONFIG/);
  });

  test('--dry-run prints what flags, variables and the pod say', () => {
    const { status, stdout } = run(['--dry-run', '--log-level', 'warn'], {
      PACELINE_EXCLUDE_NAMESPACES: 'a, b',
      PACELINE_IMAGE: '',
      POD_NAMESPACE: 'mine',
      POD_NAME: 'paceline-controller-0',
      // What Kubernetes says of the Service paceline-webhook is no option of ours.
      PACELINE_WEBHOOK_PORT: 'tcp://10.0.0.1:443',
    });
    assert.is(status, 0);
    const options = JSON.parse(stdout);
    assert.is(options.namespace, 'mine');
    assert.is(options.identity, 'paceline-controller-0');
    assert.is(options.webhookPort, 9443);
    assert.is(options.logLevel, 'warn');
    assert.equal(options.excludeNamespaces, ['a', 'b']);
  });

  test('every option is in the help, with its variable', () => {
    const { stdout } = run(['--help']);
    for (const { flag } of controllerOptionSpecs) {
      assert.match(stdout, `--${flag}`);
      assert.match(stdout, environmentName(flag));
    }
  });
});
