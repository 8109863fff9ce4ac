// needs: kserve, go
import { request } from 'node:http';
import * as assert from 'uvu/assert';
import { until } from '../cluster/command.ts';
import { SinkDouble } from '../support/event-sink.ts';
import { suite } from '../support/suite.ts';
import { answered, ofCrowd, ofMixedCrowd, refused } from './cases/inferences.ts';
import { binaryCase, grpcRequest, jsonCase, v1Case } from './cases/tensors.ts';
import { GrpcRig, inferCase } from './support/grpc-rig.ts';
import { type Paceline, startPaceline } from './support/paceline.ts';
import { type PodPart, queueProbe, startAgent, startQueueProxy } from './support/pod.ts';
import { freePorts } from './support/process.ts';
import { RestRig } from './support/rest-rig.ts';
import { type PeerServer, startKServe } from './support/servers.ts';

/** A few of everything, one by one, and then all at once. */
async function agreeThrough(rig: RestRig): Promise<void> {
  await rig.agree([
    v1Case('V1', 'peer', '[[1,2.50],[3,9007199254740993]]'),
    v1Case('V1, refused', 'strict', '[[-1]]'),
    ...answered.map(([name, inference]) => jsonCase(`JSON, ${name}`, inference)),
    ...answered.map(([name, inference]) => binaryCase(`binary, ${name}`, inference)),
    ...refused.map(([name, inference]) => jsonCase(`refused, ${name}`, inference)),
    { name: 'model metadata', path: '/v2/models/peer' },
    { name: 'ready', path: '/v2/health/ready' },
  ]);
  await rig.agreeAtOnce(Array.from({ length: 48 }, (_, i) => jsonCase(`JSON in a chain ${i}`, ofCrowd(i))));
  await rig.agreeAtOnce(Array.from({ length: 48 }, (_, i) => binaryCase(`binary in a chain ${i}`, ofMixedCrowd(i))));
  await rig.agreeAtOnce(Array.from({ length: 48 }, (_, i) => v1Case(`V1 in a chain ${i}`, 'peer', `[[${i}.5]]`)));
}

/** A GET with headers that fetch would not let through. */
function probe(port: number, headers: Record<string, string> = queueProbe): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', path: '/', headers, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      answer.on('end', () => resolve(`${answer.statusCode} ${text.trim()}`));
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** `paceline agent` with what KServe gives its agent. */
async function startInPlaceOfAgent(componentPort: number): Promise<Paceline> {
  const [port, adminPort] = (await freePorts(2)) as [number, number];
  const flags = ['--enable-batcher', '--max-batchsize', '32', '--max-latency', '10000'];
  return startPaceline(['agent', '--port', `${port}`, '--component-port', `${componentPort}`, ...flags], {
    SERVING_READINESS_PROBE: JSON.stringify({ tcpSocket: { port: componentPort, host: '127.0.0.1' } }),
    PACELINE_ADMIN_PORT: `${adminPort}`,
    PACELINE_PATIENCE: '0',
    PACELINE_SLO: '10s',
  });
}

suite('chains as in a pod', (test) => {
  let server: PeerServer;
  const parts: { stop(): Promise<void> }[] = [];
  const keep = <Part extends { stop(): Promise<void> }>(part: Part): Part => {
    parts.push(part);
    return part;
  };
  const keepPart = (part: PodPart): PodPart => {
    keep(part.process);
    return part;
  };

  test.before(async () => {
    server = await startKServe();
  });
  test.after.each(async () => {
    for (const part of parts.splice(0).reverse()) await part.stop();
  });
  test.after(async () => {
    await server?.stop();
  });

  test("Knative's queue-proxy, the companion, the model", async () => {
    const plain = await RestRig.start(server.rest);
    const queue = keepPart(await startQueueProxy(plain.companion.port));
    const rig = keep(await RestRig.start(server.rest, plain.companion, queue.port));
    await agreeThrough(rig);
  });

  test("Knative's queue-proxy, KServe's agent that logs, the companion, the model", async () => {
    const sink = new SinkDouble();
    const sinkPort = await sink.start();
    keep({ stop: () => sink.stop() });
    const plain = await RestRig.start(server.rest);
    const agent = keepPart(
      await startAgent(
        plain.companion.port,
        ...['--log-url', `http://127.0.0.1:${sinkPort}`, '--source-uri', 'peer', '--log-mode', 'all'],
        ...[
          '--inference-service',
          'peer',
          '--namespace',
          'default',
          '--endpoint',
          'default',
          '--component',
          'predictor',
        ],
      ),
    );
    const queue = keepPart(await startQueueProxy(agent.port));
    const rig = keep(await RestRig.start(server.rest, plain.companion, queue.port));
    await agreeThrough(rig);

    const own = jsonCase('logged', { ...ofCrowd(1), id: 'logged by the agent' });
    const answer = await rig.through.call(own);
    // The agent sends what it logs after the answer, and what went before may still be on its way.
    const events = () =>
      sink.events.map(({ body }) => body.toString()).filter((body) => body.includes('logged by the agent'));
    await until('the request and the answer in the log', () => events().length >= 2, 60_000);
    const bodies = events();
    assert.equal(
      bodies.sort(),
      [String(own.body), String(answer.body)].sort(),
      'the log holds what this caller sent and got',
    );
  });

  test("Knative's queue-proxy, Paceline in the place of KServe's agent, the model", async () => {
    const companion = await startInPlaceOfAgent(server.rest);
    const queue = keepPart(await startQueueProxy(companion.port));
    const rig = keep(await RestRig.start(server.rest, companion, queue.port));
    await agreeThrough(rig);
  });

  test('gRPC through queue-proxy and the companion', async () => {
    const plain = await GrpcRig.start(server.grpc);
    const queue = keepPart(await startQueueProxy(plain.companion.port));
    const rig = keep(await GrpcRig.start(server.grpc, { companion: plain.companion, front: queue.port }));
    for (const raw of [true, false]) {
      const known = [...answered, ...refused].filter(
        ([, { tensors, version }]) =>
          version === undefined && (raw || tensors.every(({ datatype }) => datatype !== 'FP16')),
      );
      await rig.agree(known.map(([name, inference]) => inferCase(name, grpcRequest(inference, raw))));
      await rig.agreeAtOnce(
        Array.from({ length: 48 }, (_, i) => inferCase(`gRPC in a chain ${i}`, grpcRequest(ofMixedCrowd(i), raw))),
      );
    }
  });

  test("probes: what queue-proxy and the agent's own probe say follows the model", async () => {
    const own = keep(await startKServe());
    const companion = keep(await startInPlaceOfAgent(own.rest));
    const queue = keepPart(await startQueueProxy(companion.port));
    assert.is(await probe(queue.port), '200 queue');
    assert.is(await probe(companion.port), '200 queue');
    assert.match(await probe(companion.port, { 'user-agent': 'kube-probe/1.34', 'k-network-probe': 'other' }), /^400/);
    own.process.signal('SIGKILL');
    await until('the companion not to be ready', async () => (await probe(companion.port)).startsWith('503'), 30_000);
    assert.match(await probe(companion.port), /^503/);
  });
});
