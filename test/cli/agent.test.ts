import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { SinkDouble } from '../support/event-sink.ts';
import { suite } from '../support/suite.ts';

const bundle = fileURLToPath(new URL('../../dist/paceline.mjs', import.meta.url));
/** What KServe 0.17 gives its agent in a pod with a batcher and a logger. */
const kserveArguments = [
  ...['--enable-batcher', '--max-batchsize', '8', '--max-latency', '100'],
  ...['--log-url', 'http://sink', '--source-uri', 'pod-1', '--log-mode', 'all', '--inference-service', 'iris'],
  ...['--namespace', 'models', '--endpoint', 'default', '--component', 'predictor'],
  ...['--logger-tls-skip-verify', 'false', '--component-port'],
];
/** No file may be written, no process started: as under a read-only root and Pod Security `restricted`. */
const readOnly = ['--experimental-permission', '--allow-fs-read=*', '--no-warnings'];

interface Started {
  readonly child: ChildProcess;
  readonly lines: Record<string, unknown>[];
  readonly port: number;
}

/** Starts the image's entry with these arguments and reads its log until it listens. */
async function start(given: string[], variables: Record<string, string>): Promise<Started> {
  const child = spawn(process.execPath, [...readOnly, bundle, ...given], {
    env: {
      PATH: process.env.PATH,
      PACELINE_PORT: '0',
      PACELINE_ADMIN_PORT: '0',
      PACELINE_HOST: '127.0.0.1',
      ...variables,
    },
  });
  let said = '';
  for await (const chunk of child.stderr) {
    said += chunk;
    if (/the companion listens.*\n/.test(said)) break;
  }
  const lines = said
    .slice(0, said.lastIndexOf('\n'))
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  // The model's readiness may be in the same breath.
  const port = lines.find(({ msg }) => msg === 'the companion listens')?.port as number;
  return { child, lines, port };
}

async function withModel(run: (port: number, calls: string[]) => Promise<void>): Promise<void> {
  const calls: string[] = [];
  const model = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      calls.push(body);
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ predictions: (JSON.parse(body || '{}').instances ?? []) as unknown[] }));
    });
  });
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
  try {
    await run((model.address() as AddressInfo).port, calls);
  } finally {
    model.closeAllConnections();
    model.close();
  }
}

suite('paceline agent', (test) => {
  test('what KServe’s agent would not start with is refused with 2, and all of it is named', () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [bundle, '--enable-batcher', '--max-batchsize', 'x', '--max-latency', '0'],
      { env: { SERVING_READINESS_PROBE: '' }, encoding: 'utf8' },
    );
    assert.is(status, 2);
    assert.match(stderr, /--max-batchsize: "x"/);
    assert.match(stderr, /--max-latency: "0"/);
    const probe = spawnSync(process.execPath, [bundle, 'agent', '--component-port', '8080'], {
      env: { SERVING_READINESS_PROBE: '{"sleep":1}' },
      encoding: 'utf8',
    });
    assert.is(probe.status, 2);
    assert.match(probe.stderr, /SERVING_READINESS_PROBE: the readiness probe has none of httpGet/);
  });

  test('its help says where its flags are', () => {
    const { stdout } = spawnSync(process.execPath, [bundle, 'agent', '--help'], { encoding: 'utf8' });
    assert.match(stdout, /docs\/configuration\.md/);
  });

  test('flags without a command are the agent’s, as where only the image was swapped', () => {
    const show = (given: string[]) =>
      JSON.parse(
        execFileSync(process.execPath, [bundle, ...given, '--dry-run'], {
          env: { SERVING_READINESS_PROBE: '' },
          encoding: 'utf8',
        }),
      );
    const without = show([...kserveArguments, '8085']);
    assert.equal(show(['agent', ...kserveArguments, '8085']), without);
    assert.is(without.port, 9081);
    assert.is(without.upstream, 'http://127.0.0.1:8085');
    assert.is(without.maxBatchSize, 8);
    assert.is(without.isvc, 'models/iris');
    assert.match(execFileSync(process.execPath, [bundle, '--version'], { encoding: 'utf8' }), /^\d+\.\d+\.\d+/);
  });

  test('serves, probes and drains as the agent does, and writes nothing', () =>
    withModel(async (modelPort, calls) => {
      const sink = new SinkDouble();
      const logTo = ['--log-url', `http://127.0.0.1:${await sink.start()}/`];
      const probe = JSON.stringify({ tcpSocket: { port: modelPort, host: '127.0.0.1' }, periodSeconds: 10 });
      const variables = { SERVING_READINESS_PROBE: probe, PACELINE_DRAIN_QUIET: '200ms' };
      const { child, lines, port } = await start([...kserveArguments, String(modelPort), ...logTo], variables);
      try {
        assert.equal(
          lines.filter(({ code }) => code !== undefined),
          [],
          'nothing to warn of',
        );
        const ready = await fetch(`http://127.0.0.1:${port}/`, {
          headers: { 'user-agent': 'kube-probe/1.33', 'k-network-probe': 'queue' },
        });
        assert.is(await ready.text(), 'queue');
        const predict = async (i: number) => {
          const body = JSON.stringify({ instances: [i] });
          const headers = { 'content-type': 'application/json' };
          const reply = await fetch(`http://127.0.0.1:${port}/v1/models/m:predict`, { method: 'POST', headers, body });
          assert.equal(await reply.json(), { predictions: [i] });
        };
        await Promise.all(Array.from({ length: 100 }, (_, i) => predict(i)));
        assert.ok(calls.length < 100, `${calls.length} calls for 100 requests`);
        assert.ok(Math.max(...calls.map((body) => JSON.parse(body || '{"instances":[]}').instances.length)) <= 8);
        const exited = once(child, 'exit');
        child.kill('SIGTERM');
        await predict(1);
        assert.equal(await exited, [0, null]);
        const events = sink.events.filter(({ headers }) => headers['ce-inferenceservicename'] === 'iris');
        assert.is(events.length, 202, 'each request and each reply was logged before it ended');
      } finally {
        child.kill('SIGKILL');
        await sink.stop();
      }
    }));

  test('a pod whose models have to be pulled is never ready, and says what to do', async () => {
    const { child, lines, port } = await start(['--enable-puller', '--config-dir', '/mnt/configs'], {
      SERVING_READINESS_PROBE: '',
    });
    try {
      assert.match(String(lines.find(({ code }) => code === 'PL_AGENT')?.msg), /--enable-puller/);
      const answer = await fetch(`http://127.0.0.1:${port}/`, {
        headers: { 'user-agent': 'kube-probe/1.33', 'k-network-probe': 'queue' },
      });
      assert.is(answer.status, 503);
      assert.match(await answer.text(), /KServe's own agent image/);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
