import * as assert from 'uvu/assert';
import { agentFlags, isAgentFlag, parseAgentArguments, planAgent } from '../../src/policy/agent-flags.ts';
import { type CompanionOptions, environmentName, resolveCompanionOptions } from '../../src/policy/companion-options.ts';
import { suite } from '../support/suite.ts';

const probe = { SERVING_READINESS_PROBE: '' };

/** The options that an agent's command line and variables give. */
function optionsOf(line: string, environment: Record<string, string> = probe): CompanionOptions {
  const plan = planAgent(parseAgentArguments(line.split(' ')), environment);
  const otherwise = Object.fromEntries(
    Object.entries(plan.otherwise).map(([flag, value]) => [
      flag === 'readiness-probe' ? 'SERVING_READINESS_PROBE' : environmentName(flag),
      value,
    ]),
  );
  return resolveCompanionOptions(plan.flags, { ...otherwise, ...environment });
}

const warningsOf = (line: string, environment: Record<string, string> = probe) =>
  planAgent(parseAgentArguments(line.split(' ')), environment).warnings;

suite("flags of KServe's agent", (test) => {
  test('values with which the agent ends are refused, all at once', () => {
    for (const bad of ['0', '-1', 'many', '1.5', '']) {
      const given = ['--enable-batcher', `--max-batchsize=${bad || 'x'}`, `--max-latency=${bad || 'x'}`];
      try {
        planAgent(parseAgentArguments(given), probe);
        assert.unreachable(bad);
      } catch (error) {
        assert.is((error as { problems: string[] }).problems?.length, 2, bad);
      }
    }
    assert.throws(() => optionsOf('--component-port model'), /--component-port/);
    assert.not.throws(() => optionsOf('--max-batchsize 0'), 'without --enable-batcher nobody reads it');
  });

  test('a flag that is not known is overlooked and named, and so is a value that stands alone', () => {
    const { flags, unknown } = parseAgentArguments([
      ...['false', '--new-flag', 'x', '-v', '--logger-tls-skip-verify', 'false', '--port=9999', '--', '--log-url', 'y'],
    ]);
    assert.equal(
      flags,
      { 'logger-tls-skip-verify': 'false', port: '9999' },
      'as KServe means it, not as pflag reads it',
    );
    assert.equal(unknown, ['--new-flag', '-v']);
    assert.match(warningsOf('--new-flag x')[0] ?? '', /--new-flag is no flag/);
  });

  test('what KServe writes for a logger says where payloads go, and how', () => {
    const options = optionsOf(
      [
        '--log-url http://broker.default/events --source-uri pod-1 --log-mode response --inference-service iris',
        '--namespace models --endpoint default --component predictor --metadata-headers X-User,X-Tenant',
        '--metadata-headers X-More --metadata-annotations team=vision,note=a,b --workers 900',
        '--logger-tls-skip-verify false',
      ].join(' '),
    );
    assert.is(options.logUrl?.href, 'http://broker.default/events');
    assert.is(options.logMode, 'response');
    assert.is(options.logSource, 'pod-1');
    assert.is(options.isvc, 'models/iris');
    assert.is(options.logEndpoint, 'default');
    assert.is(options.logComponent, 'predictor');
    assert.equal(options.logHeaders, ['x-user', 'x-tenant', 'x-more']);
    assert.equal(options.logAnnotations, { team: 'vision', note: 'a,b' });
    assert.is(options.logWorkers, 256);
    assert.is(options.logTlsSkipVerify, false);
    assert.is(options.logCaFile, '');
    assert.is(optionsOf('--component-port 8080').logUrl, null);
    assert.is(optionsOf('--log-url http://sink --port 9000').logSource, 'http://localhost:9000/');
    const tls = optionsOf('--log-url https://sink --logger-tls-skip-verify');
    assert.is(tls.logTlsSkipVerify, true);
    assert.is(tls.logCaFile, '/etc/tls/logger/service-ca.crt');
    assert.is(optionsOf('--log-url https://sink --logger-ca-cert-file own.crt').logCaFile, '/etc/tls/logger/own.crt');
  });

  test('a logger that cannot be had is refused, or keeps the pod from being ready and says what to do', () => {
    for (const [line, wrong] of [
      ['--log-mode some --log-url http://sink', /--log-mode: "some"/],
      ['--workers 0 --log-url http://sink', /--workers: "0"/],
      ['--log-url sink.default', /"sink.default" is not an address/],
      ['--log-url http://sink --metadata-annotations team', /"team" is not a pair/],
    ] as const) {
      assert.throws(() => optionsOf(line), wrong, line);
    }
    for (const url of ['s3://bucket/logs', 'gs://bucket', 'abfs://box@account']) {
      const { unfit } = planAgent(parseAgentArguments(['--log-url', url, '--log-store-format', 'parquet']), probe);
      assert.match(unfit ?? '', /not written to a blob store here .*http\(s\) URL.*KServe's own agent image/);
      assert.is(optionsOf(`--log-url ${url} --log-store-format parquet`).logUrl, null);
    }
  });

  test('every flag is taken, and none changes what it is not about', () => {
    for (const { name, isBool, part } of agentFlags) {
      const line = isBool ? `--${name}` : `--${name} ${name === 'log-url' ? 'http://sink' : '7'}`;
      assert.not.throws(() => optionsOf(line), name);
      if (part === 'logger' || part === 'none') assert.is(optionsOf(line).mode, 'off', name);
      assert.equal(parseAgentArguments(line.split(' ')).unknown, [], name);
      assert.ok(isAgentFlag(`--${name}`) && isAgentFlag(`--${name}=x`), name);
    }
    for (const other of ['companion', '--help', '--version', '-h', '--dry-run', 'port']) assert.not(isAgentFlag(other));
  });

  test("KServe's own arguments give what they say", () => {
    const options = optionsOf('--enable-batcher --max-batchsize 16 --max-latency 50 --port 9081 --component-port 8085');
    assert.is(options.port, 9081);
    assert.is(options.adminPort, 9086);
    assert.is(options.upstream.origin, 'http://127.0.0.1:8085');
    assert.is(options.maxBatchSize, 16);
    assert.is(options.mode, 'act');
    assert.is(options.patience, 0, 'nobody promised anything: nothing waits on purpose');
    assert.is(options.sloMs, 1000, 'at least a second');
    assert.is(options.lateTimeoutMs, 300_000, 'fails no sooner than before');
    assert.equal(options.readinessProbe, []);
    assert.is(optionsOf('--enable-batcher').sloMs, 5000);
    assert.is(optionsOf('--enable-batcher').maxBatchSize, 32);
    assert.is(optionsOf('--enable-batcher --max-batchsize 5000').maxBatchSize, 1024);
    assert.is(optionsOf('--component-port 8080').mode, 'off');
  });

  test('an SLO makes it a companion like any other, and its own options win', () => {
    const options = optionsOf('--enable-batcher --max-batchsize 16 --max-latency 50', {
      ...probe,
      PACELINE_SLO: '200ms',
    });
    assert.is(options.sloMs, 200);
    assert.is(options.lateTimeoutMs, 1000);
    assert.is(options.patience, -1);
    assert.is(options.maxBatchSize, 16);
    assert.is(optionsOf('--component-port 8080', { ...probe, PACELINE_SLO: '200ms' }).mode, 'act');
    const own = { ...probe, PACELINE_SLO: '200ms', PACELINE_MAX_BATCH_SIZE: '8', PACELINE_MODE: 'advise' };
    assert.is(optionsOf('--enable-batcher --max-batchsize 16', own).maxBatchSize, 8);
    assert.is(optionsOf('--enable-batcher --max-batchsize 16', own).mode, 'advise');
    assert.is(optionsOf('--enable-batcher --slo 300ms').sloMs, 300);
  });

  test("what Knative sets beside queue-proxy is read, and Kubernetes' own time to end is kept", () => {
    const knative = {
      SERVING_READINESS_PROBE: '{"tcpSocket":{"port":8080}}',
      QUEUE_SERVING_PORT: '8012',
      USER_PORT: '8080',
      CONTAINER_CONCURRENCY: '0',
      REVISION_TIMEOUT_SECONDS: '60',
      SERVING_NAMESPACE: 'models',
      SERVING_SERVICE: 'iris-predictor',
      SERVING_REVISION: 'iris-predictor-00001',
      SERVING_LOGGING_CONFIG: '{"level":"info"}',
      SERVING_LOGGING_LEVEL: 'debug',
      ENABLE_HTTP2_AUTO_DETECTION: 'false',
      ENABLE_MULTI_CONTAINER_PROBES: 'false',
    };
    const options = optionsOf('--enable-batcher --max-batchsize 32 --component-port 8080', knative);
    assert.is(options.queueProxy, true);
    assert.is(options.drainQuietMs, 30_000);
    assert.is(options.drainTimeoutMs, 58_000);
    assert.is(options.lateTimeoutMs, 60_000);
    assert.is(options.revision, 'iris-predictor-00001');
    assert.is(options.isvc, 'models/iris-predictor');
    assert.is(options.logLevel, 'debug');
    assert.is(options.readinessProbe?.[0]?.aggressive, true);
    assert.is(optionsOf('--enable-batcher').queueProxy, false);
    assert.is(optionsOf('--enable-batcher').drainTimeoutMs, 28_000);
  });

  test('what is not done, or will hurt, is said', () => {
    assert.equal(warningsOf('--enable-batcher'), []);
    assert.equal(warningsOf('--log-url http://sink'), []);
    assert.match(
      warningsOf('--log-url http://me:secret@sink --log-store-path logs --log-batch-size 5')[0] ?? '',
      /^--log-store-path, --log-batch-size: of use for a blob store only, not for .*\(http:\/\/\.\.\.@sink\)$/,
    );
    assert.match(
      warningsOf('--enable-batcher', { ...probe, CONTAINER_CONCURRENCY: '1' })[0] ?? '',
      /batches of 32 never fill/,
    );
    assert.equal(warningsOf('--enable-batcher', { ...probe, CONTAINER_CONCURRENCY: '64' }), []);
    assert.match(warningsOf('--enable-batcher', {})[0] ?? '', /SERVING_READINESS_PROBE is not set/);
    assert.equal(optionsOf('--component-port 8085', {}).readinessProbe?.[0]?.action, {
      kind: 'tcp',
      host: '127.0.0.1',
      port: 8085,
    });
    const { unfit } = planAgent(parseAgentArguments(['--enable-puller']), probe);
    assert.match(unfit ?? '', /--enable-puller.*KServe's own agent image/);
  });
});
