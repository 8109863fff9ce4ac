import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { injectCompanion } from '../../../src/controller/admission/inject-companion.ts';
import { patchBetween } from '../../../src/controller/admission/json-patch.ts';
import { flagOf, type Pod, type Probe, variableOf } from '../../../src/controller/admission/pod.ts';
import {
  container,
  image,
  podOf,
  type Recorded,
  recorded,
  withAnnotations,
  withContainer,
} from '../../support/admission.ts';
import { randomPod, requestPath } from '../../support/pods.ts';
import { suite } from '../../support/suite.ts';

const variables = { PACELINE_SLO: '500ms' };
const inject = (pod: Pod) => injectCompanion(pod, image, variables);
const probeOf = (pod: Pod, name: string): Probe =>
  JSON.parse(variableOf(container(pod, name), 'SERVING_READINESS_PROBE') ?? '{}');

suite('injection of the companion', (test) => {
  test('a pod that loads models at run time is left alone, whoever says so', () => {
    const byAnnotation = withAnnotations(podOf('standard-batcher'), { 'internal.serving.kserve.io/agent': 'true' });
    const byFlag = withContainer(podOf('standard-batcher'), 'agent', (agent) => ({
      ...agent,
      args: [...(agent.args ?? []), '--enable-puller'],
    }));
    for (const pod of [byAnnotation, byFlag]) {
      const { outcome, code, pod: after } = inject(pod);
      assert.is(outcome, 'left');
      assert.is(code, 'PL_POD_PULLER');
      assert.is(after, pod);
    }
  });

  test('a container of the user that is called agent or paceline is never replaced', () => {
    const agent = withContainer(podOf('standard-batcher'), 'agent', (before) => ({
      ...before,
      args: ['serve'],
      ports: [],
    }));
    assert.is(inject(agent).code, 'PL_POD_FOREIGN_AGENT');
    const plain = podOf('knative-plain');
    const mine = { name: 'paceline', image: 'mine', args: ['companion'] };
    const taken = { ...plain, spec: { ...plain.spec, containers: [...plain.spec.containers, mine] } };
    assert.is(inject(taken).code, 'PL_POD_NAME_TAKEN');
    // A forged one is not believed where it would forward to.
    const forged = { ...mine, env: [{ name: 'PACELINE_UPSTREAM', value: 'http://10.1.2.3:80' }] };
    const elsewhere = { ...plain, spec: { ...plain.spec, containers: [...plain.spec.containers, forged] } };
    assert.is(inject(elsewhere).code, 'PL_POD_NAME_TAKEN');
  });

  test('a port that is taken, a Service that points past it, a pod without a model: left alone, and said', () => {
    const busy = withContainer(podOf('knative-plain'), 'kserve-container', (model) => ({
      ...model,
      ports: [{ containerPort: 9086 }],
    }));
    assert.is(inject(busy).code, 'PL_POD_PORT_TAKEN');
    assert.is(inject(podOf('standard-plain')).code, 'PL_POD_BYPASS');
    // Workers of a node group carry the label and the annotations of the service, and serve nothing.
    const worker = podOf('standard-batcher');
    const containers = worker.spec.containers.map((each) =>
      each.name === 'kserve-container' ? { ...each, name: 'worker-container' } : each,
    );
    assert.is(inject({ ...worker, spec: { ...worker.spec, containers } }).code, 'PL_POD_NO_MODEL');
  });

  test("before KServe has added its logger the pod is left for the next call, because KServe's would point past us", () => {
    const { outcome, code } = inject(podOf('knative-batcher-logger.before-kserve'));
    assert.is(outcome, 'left');
    assert.is(code, 'PL_POD_LOGGER_PENDING');
  });

  test("KServe's agent is replaced in place: name, port and probe stay, nothing of its own credentials does", () => {
    const pod = withContainer(podOf('standard-http'), 'agent', (agent) => ({
      ...agent,
      env: [
        ...(agent.env ?? []),
        { name: 'AWS_SECRET_ACCESS_KEY', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
      ],
      volumeMounts: [...(agent.volumeMounts ?? []), { name: 'gcs', mountPath: '/var/secrets' }],
    }));
    const { outcome, pod: after } = inject(pod);
    assert.is(outcome, 'replaced');
    assert.equal(
      after.spec.containers.map(({ name }) => name),
      pod.spec.containers.map(({ name }) => name),
    );
    const companion = container(after, 'agent');
    assert.is(companion.image, image.image);
    assert.equal(companion.args, ['companion']);
    assert.equal(companion.resources, image.resources);
    assert.equal(companion.ports?.[0], { name: 'agent-port', containerPort: 9081, protocol: 'TCP' });
    assert.equal(companion.readinessProbe?.httpGet, container(pod, 'agent').readinessProbe?.httpGet);
    assert.is(variableOf(companion, 'PACELINE_UPSTREAM'), 'http://127.0.0.1:8080');
    assert.is(variableOf(companion, 'PACELINE_PORT'), '9081');
    assert.is(variableOf(companion, 'PACELINE_ADMIN_PORT'), '9086');
    assert.is(variableOf(companion, 'AWS_SECRET_ACCESS_KEY'), undefined);
    assert.not.ok(companion.volumeMounts?.some(({ name }) => name === 'gcs'));
    assert.is(after.metadata.labels?.['paceline.dev/companion'], 'true');
  });

  test('the container fits Pod Security restricted, also in a pod that runs as root', () => {
    const security = (pod: Pod) => container(inject(pod).pod, 'agent').securityContext as Record<string, unknown>;
    const pod = podOf('standard-batcher');
    assert.equal(security(pod), {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    const root = { ...pod, spec: { ...pod.spec, securityContext: { runAsUser: 0 } } };
    assert.is(security(root).runAsUser, 65_532);
  });

  test('Knative: port and readiness of queue-proxy are rewritten together, its timing stays', () => {
    for (const [name, port] of [
      ['knative-batcher', 9081],
      ['knative-plain', 9085],
      ['ksvc-plain', 9085],
    ] as const) {
      const before = podOf(name);
      const { pod } = inject(before);
      const queueProxy = container(pod, 'queue-proxy');
      assert.is(variableOf(queueProxy, 'USER_PORT'), String(port), name);
      const { httpGet, tcpSocket, ...timing } = probeOf(pod, 'queue-proxy');
      assert.equal(
        httpGet,
        {
          path: '/',
          port,
          host: '127.0.0.1',
          scheme: 'HTTP',
          httpHeaders: [{ name: 'K-Network-Probe', value: 'queue' }],
        },
        name,
      );
      assert.is(tcpSocket, undefined);
      const { httpGet: _h, tcpSocket: _t, ...was } = probeOf(before, 'queue-proxy');
      assert.equal(timing, { successThreshold: 1, ...was }, name);
      // Everything else that queue-proxy is told stays as it was.
      const rest = (each: Pod) =>
        container(each, 'queue-proxy').env?.filter(
          (variable) => variable.name !== 'USER_PORT' && variable.name !== 'SERVING_READINESS_PROBE',
        );
      assert.equal(rest(pod), rest(before), name);
    }
  });

  test('Knative: the companion is given the probe of the model, waits for queue-proxy to drain, and looks into it', () => {
    const { pod, outcome } = inject(podOf('ksvc-plain'));
    assert.is(outcome, 'added');
    const companion = container(pod, 'paceline');
    assert.equal(probeOf(pod, 'paceline').httpGet?.path, '/healthz');
    assert.equal(probeOf(pod, 'paceline').httpGet?.port, 8080);
    assert.equal(companion.lifecycle, {
      preStop: { httpGet: { path: '/wait-for-drain', port: 8022, scheme: 'HTTP' } },
    });
    assert.is(variableOf(companion, 'PACELINE_QUEUE_PROXY'), 'true');
    assert.is(variableOf(companion, 'PACELINE_DRAIN_TIMEOUT'), '298s');
  });

  test('probes of several containers: only that of the serving one is rewritten', () => {
    const probes = [
      { tcpSocket: { port: 8080, host: '127.0.0.1' }, successThreshold: 1, periodSeconds: 2 },
      { httpGet: { path: '/cache', port: 8090, host: '127.0.0.1' } },
    ];
    const pod = withContainer(podOf('knative-plain'), 'queue-proxy', (before) => ({
      ...before,
      env: [
        ...(before.env ?? []).filter(({ name }) => !/READINESS|MULTI/.test(name)),
        { name: 'SERVING_READINESS_PROBE', value: JSON.stringify(probes) },
        { name: 'ENABLE_MULTI_CONTAINER_PROBES', value: 'true' },
      ],
    }));
    const after = inject(pod).pod;
    const written = probeOf(after, 'queue-proxy') as unknown as Probe[];
    assert.is(written.length, 2);
    assert.is(written[0]?.httpGet?.port, 9085);
    assert.is(written[0]?.periodSeconds, 2);
    assert.equal(written[1], probes[1]);
    assert.equal(probeOf(after, 'paceline'), probes[0]);
  });

  test('an empty readiness probe means ready at once to queue-proxy: with a companion it means that it answers', () => {
    const pod = withContainer(podOf('knative-plain'), 'queue-proxy', (before) => ({
      ...before,
      env: (before.env ?? []).map((each) =>
        each.name === 'SERVING_READINESS_PROBE' ? { name: 'SERVING_READINESS_PROBE' } : each,
      ),
    }));
    const after = inject(pod).pod;
    assert.is(probeOf(after, 'queue-proxy').httpGet?.port, 9085);
    assert.is(variableOf(container(after, 'paceline'), 'SERVING_READINESS_PROBE'), undefined);
  });

  test('Standard mode: a probe that KServe cannot hand on (a command) is left out, and the agent that would crash is gone', () => {
    const before = podOf('standard-exec');
    assert.is(variableOf(container(before, 'agent'), 'SERVING_READINESS_PROBE'), undefined);
    const { pod, outcome } = inject(before);
    assert.is(outcome, 'replaced');
    assert.is(variableOf(container(pod, 'agent'), 'SERVING_READINESS_PROBE'), undefined);
  });

  test('Standard mode: the probe is of this pod only, with its port by number', () => {
    const named = { httpGet: { path: '/r', port: 'serve', host: '169.254.169.254' }, periodSeconds: 3 };
    const pod = withContainer(
      withContainer(podOf('standard-batcher'), 'kserve-container', (model) => ({
        ...model,
        ports: [{ name: 'serve', containerPort: 8123 }],
      })),
      'agent',
      (agent) => ({ ...agent, env: [{ name: 'SERVING_READINESS_PROBE', value: JSON.stringify(named) }] }),
    );
    assert.equal(probeOf(inject(pod).pod, 'agent'), {
      httpGet: { path: '/r', port: 8123, host: '127.0.0.1' },
      periodSeconds: 3,
    });
  });

  test("Standard mode: the model outlives the companion's drain, unless it has a lifecycle of its own", () => {
    const model = (pod: Pod) => container(inject(pod).pod, 'kserve-container').lifecycle;
    const pod = podOf('standard-batcher');
    assert.equal(model(pod), { preStop: { httpGet: { path: '/wait-for-drain', port: 9086, scheme: 'HTTP' } } });
    const own = { preStop: { exec: { command: ['save'] } } };
    assert.equal(model(withContainer(pod, 'kserve-container', (each) => ({ ...each, lifecycle: own }))), own);
  });

  test('a collocated transformer serves: the companion stands before it, not before the model', () => {
    const { pod } = inject(podOf('standard-transformer'));
    assert.is(variableOf(container(pod, 'agent'), 'PACELINE_UPSTREAM'), 'http://127.0.0.1:8080');
    const before = podOf('standard-transformer');
    const early = { ...before, spec: { ...before.spec, containers: before.spec.containers.slice(0, 2) } };
    const moved = withContainer(early, 'transformer-container', (each) => ({
      ...each,
      ports: [{ containerPort: 8099 }],
    }));
    assert.is(variableOf(container(inject(moved).pod, 'agent'), 'PACELINE_UPSTREAM'), 'http://127.0.0.1:8099');
  });

  test('a logging agent stays in front, no longer batches, and asks the companion whether all is ready', () => {
    for (const name of ['standard-batcher-logger', 'knative-batcher-logger'] as const) {
      const { outcome, pod } = inject(podOf(name));
      assert.is(outcome, 'chained', name);
      const agent = container(pod, 'agent');
      assert.is(flagOf(agent, '--component-port'), '9085', name);
      assert.not.ok(
        agent.args?.some((arg) => /^--(enable-batcher|max-batchsize|max-latency)/.test(arg)),
        name,
      );
      assert.is(flagOf(agent, '--log-url'), 'http://sink.serving.svc.cluster.local/', name);
      // Empty values of other flags are still there, each behind its own.
      assert.is(flagOf(agent, '--source-uri'), '', name);
      assert.is(agent.image, container(podOf(name), 'agent').image, name);
      assert.is(probeOf(pod, 'agent').httpGet?.port, 9085, name);
      assert.is(variableOf(container(pod, 'paceline'), 'PACELINE_UPSTREAM'), 'http://127.0.0.1:8080', name);
    }
    assert.is(probeOf(inject(podOf('knative-batcher-logger')).pod, 'queue-proxy').httpGet?.port, 9081);
  });

  test('a logger behind a queue-proxy that looks for HTTP/2 is asked only whether it listens: it answers the other with 400', () => {
    const pod = withContainer(podOf('knative-batcher-logger'), 'queue-proxy', (before) => ({
      ...before,
      env: (before.env ?? []).map((each) =>
        each.name === 'ENABLE_HTTP2_AUTO_DETECTION' ? { ...each, value: 'true' } : each,
      ),
    }));
    const probe = probeOf(inject(pod).pod, 'queue-proxy');
    assert.equal(probe.tcpSocket, { port: 9081, host: '127.0.0.1' });
    assert.is(probe.httpGet, undefined);
  });

  test("before KServe's webhook or after it: the same pod comes out", () => {
    for (const name of ['standard-batcher', 'knative-batcher'] as const) {
      const early = inject(podOf(`${name}.before-kserve` as Recorded)).pod;
      const late = inject(podOf(name)).pod;
      const shape = (pod: Pod) => {
        const { volumeMounts: _token, ...companion } = container(pod, 'agent');
        const queueProxy = pod.spec.containers.find((each) => each.name === 'queue-proxy');
        return [companion, queueProxy?.env, pod.metadata.labels?.['paceline.dev/companion']];
      };
      assert.equal(shape(early), shape(late), name);
    }
  });

  test('twice is the same as once, on every recorded pod', () => {
    for (const name of recorded) {
      const once = inject(podOf(name)).pod;
      assert.equal(patchBetween(once, inject(once).pod), [], name);
    }
  });

  test('in random pods: twice is once, requests pass the companion once, and nothing else is touched', () => {
    fc.assert(
      fc.property(randomPod, (pod) => {
        const { outcome, pod: after } = inject(pod);
        assert.equal(inject(after).pod, after);
        if (outcome === 'left') return assert.is(after, pod);
        const before = requestPath(pod);
        const path = requestPath(after);
        assert.is(path.filter((hop) => hop === 'companion').length, 1, path.join(' > '));
        assert.is(path.at(-1), before.at(-1), 'the same container serves');
        const logs = path.indexOf('logger');
        assert.ok(logs < 0 || logs < path.indexOf('companion'), 'logs hold what callers sent');
        assert.not.ok(path.includes('batcher'));
        for (const each of pod.spec.containers) {
          if (['agent', 'queue-proxy', 'paceline'].includes(each.name)) continue;
          const { lifecycle: _own, ...was } = each;
          const { lifecycle: _new, ...is } = container(after, each.name);
          assert.equal(is, was);
        }
      }),
      { numRuns: 400 },
    );
  });
});
