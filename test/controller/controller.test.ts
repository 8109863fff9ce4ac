import { mkdtempSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import * as assert from 'uvu/assert';
import { bundleOf, renewed } from '../../src/controller/admission/certificates.ts';
import { companionImage } from '../../src/controller/companion-image.ts';
import { Controller } from '../../src/controller/controller.ts';
import { resolveControllerOptions } from '../../src/controller/controller-options.ts';
import { Leadership } from '../../src/controller/leadership.ts';
import type { LeaderPart, PartContext } from '../../src/controller/part.ts';
import { uninstallIdentity } from '../../src/controller/uninstall-lease.ts';
import { type Clock, systemClock } from '../../src/kube/clock.ts';
import { KubeError } from '../../src/kube/kube-error.ts';
import { kinds } from '../../src/kube/objects.ts';
import { suite } from '../support/suite.ts';
import { MemoryApi } from './admission/memory-api.ts';

const quiet = { info: () => {}, warn: () => {}, error: () => {} };

class Recorder implements LeaderPart {
  readonly name = 'recorder';
  readonly said: string[] = [];
  context: PartContext | undefined;

  async start(context: PartContext): Promise<void> {
    this.context = context;
    this.said.push('start');
  }

  async stop(): Promise<void> {
    this.said.push('stop');
  }
}

function controllerOn(
  memory: MemoryApi,
  flags: Record<string, string> = {},
  parts: LeaderPart[] = [],
  clock: Clock = systemClock,
) {
  const options = resolveControllerOptions(
    { image: 'paceline@sha256:'.padEnd(80, '0'), host: '127.0.0.1', 'webhook-port': '0', 'admin-port': '0', ...flags },
    {},
  );
  const failed = (error: unknown) => {
    throw error;
  };
  return new Controller(options, {
    api: memory.api,
    log: quiet,
    clock,
    chance: Math.random,
    parts,
    failed,
  });
}

suite('controller', (test) => {
  test('without an image, and in no pod that runs one, it says what to set', async () => {
    const controller = controllerOn(new MemoryApi(), { image: '' });
    try {
      await controller.start();
      assert.unreachable();
    } catch (error) {
      assert.match(String(error), /PACELINE_IMAGE/);
    }
    await controller.stop();
  });

  test('it is ready when its webhooks are served, leads, and gives all back when it stops', async () => {
    const memory = new MemoryApi();
    const part = new Recorder();
    const controller = controllerOn(memory, {}, [part]);
    const { webhookPort, adminPort } = await controller.start();
    assert.is((await page(adminPort, '/readyz')).status, 200);
    assert.is((await page(adminPort, '/healthz')).status, 200);
    await until(() => part.said.length > 0);
    assert.is(part.context?.namespace, 'paceline-system');
    const bundle = await trusted(memory);
    assert.is(await handshake(webhookPort, bundle), 'ok');
    const metrics = (await page(adminPort, '/metrics')).text;
    const ends = Number(/^paceline_webhook_certificate_expiry_seconds (\S+)$/m.exec(metrics)?.[1]);
    assert.ok(ends > Date.now() / 1000 + 80 * 86_400);
    await controller.stop();
    assert.equal(part.said, ['start', 'stop']);
    const lease = await memory.get(kinds.lease, { namespace: 'paceline-system', name: 'paceline-controller' });
    assert.is((lease.spec as { holderIdentity: string }).holderIdentity, '');
  });

  test('no webhook is served before there are keys that pods can be given', async () => {
    const memory = new MemoryApi();
    const { get } = memory;
    let refused = 0;
    memory.get = async (kind, name) => {
      if (name.name === 'paceline-policy-keys' && refused++ < 1) throw new KubeError(500, 'InternalError', 'try again');
      return get.call(memory, kind, name);
    };
    const controller = controllerOn(memory, {}, [], {
      ...systemClock,
      after: (ms, run) => systemClock.after(ms / 50, run),
    });
    const { webhookPort } = await controller.start();
    assert.ok(webhookPort > 0);
    assert.ok(memory.objects.has('secrets/paceline-system/paceline-policy-keys'));
    await controller.stop();
  });

  test('two replicas serve with one certificate, and one of them leads', async () => {
    const memory = new MemoryApi();
    const parts = [new Recorder(), new Recorder()];
    const replicas = parts.map((part, i) => controllerOn(memory, { identity: `replica-${i}` }, [part]));
    const ports = await Promise.all(replicas.map((replica) => replica.start()));
    const bundle = await trusted(memory);
    for (const { webhookPort } of ports) assert.is(await handshake(webhookPort, bundle), 'ok');
    await until(() => parts.some(({ said }) => said.length > 0));
    assert.is(parts.filter(({ said }) => said.length > 0).length, 1);
    await Promise.all(replicas.map((replica) => replica.stop()));
  });

  test('a lease that an uninstall of yesterday left behind is not waited for', async () => {
    const memory = new MemoryApi();
    const part = new Recorder();
    const renewTime = new Date(Date.now() - 86_400_000).toISOString();
    const metadata = { namespace: 'paceline-system', name: 'paceline-controller' };
    const spec = { holderIdentity: uninstallIdentity('job'), leaseDurationSeconds: 600, renewTime };
    await memory.api.create(kinds.lease, { metadata, spec });
    // Fifty times as fast: ten minutes would be longer than this test waits.
    const clock: Clock = {
      ...systemClock,
      monotonicMs: () => systemClock.monotonicMs() * 50,
      after: (ms, run) => systemClock.after(ms / 50, run),
    };
    const controller = controllerOn(memory, {}, [part], clock);
    await controller.start();
    await until(() => part.said.length > 0);
    await controller.stop();
  });

  test('mounted files come first, and nobody writes a Secret then', async () => {
    const memory = new MemoryApi();
    const folder = mkdtempSync(join(tmpdir(), 'paceline-'));
    const made = await renewed({ authorities: [] }, ['paceline-webhook.paceline-system.svc'], Date.now());
    const { certificate, key } = made.serving as { certificate: string; key: string };
    writeFileSync(join(folder, 'tls.crt'), certificate);
    writeFileSync(join(folder, 'tls.key'), key);
    const flags = { 'tls-cert-file': join(folder, 'tls.crt'), 'tls-key-file': join(folder, 'tls.key') };
    const controller = controllerOn(memory, flags);
    const { webhookPort } = await controller.start();
    assert.is(await handshake(webhookPort, bundleOf(made)), 'ok');
    assert.not.ok(memory.writes.some((write) => write.includes('webhook-cert')));
    await controller.stop();
  });

  const digest = `registry.example.com/paceline@sha256:${'a'.repeat(64)}`;
  const pod = (image: string, imageID: string, trial?: { image: string; imageID: string }) => ({
    metadata: { namespace: 'n', name: 'p' },
    spec: {
      containers: [
        { name: 'istio', image: 'i' },
        { name: 'controller', image },
      ],
      ...(trial ? { initContainers: [{ name: 'companion-trial', image: trial.image }] } : {}),
    },
    status: {
      containerStatuses: [{ name: 'controller', imageID }],
      ...(trial ? { initContainerStatuses: [{ name: 'companion-trial', imageID: trial.imageID }] } : {}),
    },
  });

  test('an image that our own pod has not tried is given to no pod', async () => {
    const memory = new MemoryApi();
    memory.put(kinds.pod, pod('registry.example.com/paceline:1', digest));
    try {
      await companionImage(memory.api, 'n', 'p', 'registry.example.com/other:2');
      assert.unreachable();
    } catch (error) {
      assert.match(String(error), /other:2 has not been tried.*companion-trial/);
    }
    // Where there is no pod of ours nothing can be tried.
    assert.is(await companionImage(new MemoryApi().api, 'n', 'p', 'other:2'), 'other:2');
  });

  test('an init container tries another image, and its digest is what pods get', async () => {
    const memory = new MemoryApi();
    const trial = { image: 'registry.example.com/other:2', imageID: `other@sha256:${'c'.repeat(64)}` };
    memory.put(kinds.pod, pod('registry.example.com/paceline:1', digest, trial));
    for (const configured of ['', trial.image, trial.imageID]) {
      assert.is(await companionImage(memory.api, 'n', 'p', configured), trial.imageID);
    }
    assert.is(await companionImage(memory.api, 'n', 'p', 'registry.example.com/paceline:1'), digest);
  });

  test('our own pod says which image it runs, by digest where there is one', async () => {
    const memory = new MemoryApi();
    for (const [image, id, expected] of [
      ['registry.example.com/paceline:1', digest, digest],
      [digest, 'sha256:b', digest],
      ['kind.local/paceline:1', `sha256:${'b'.repeat(64)}`, 'kind.local/paceline:1'],
    ] as const) {
      memory.put(kinds.pod, pod(image, id));
      assert.is(await companionImage(memory.api, 'n', 'p', ''), expected);
    }
  });

  test('parts are started once a term and stopped in the other order, whatever comes in between', async () => {
    const said: string[] = [];
    const part = (name: string): LeaderPart => ({
      name,
      start: async () => void said.push(`start ${name}`),
      stop: async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        said.push(`stop ${name}`);
      },
    });
    const failures: unknown[] = [];
    const leadership = new Leadership([part('a'), part('b')], quiet, (error) => failures.push(error));
    const context = {} as PartContext;
    await Promise.all([leadership.change(context), leadership.change(undefined), leadership.change(undefined)]);
    await Promise.all([leadership.change(context), leadership.change(context)]);
    await leadership.change(undefined);
    const terms = said.join(', ').split(/(?<=stop a)(?:, )?/);
    for (const term of terms.filter(Boolean)) assert.is(term, 'start a, start b, stop b, stop a');
    const broken = { ...part('c'), start: () => Promise.reject(new Error('no')) };
    await new Leadership([broken], quiet, (error) => failures.push(error)).change(context);
    assert.is(failures.length, 1);
  });
});

async function trusted(memory: MemoryApi): Promise<string> {
  const secret = await memory.get(kinds.secret, { namespace: 'paceline-system', name: 'paceline-webhook-cert' });
  return Buffer.from((secret.data as Record<string, string>)['ca.crt'] as string, 'base64').toString();
}

function page(port: number, path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    }).on('error', reject);
  });
}

function handshake(port: number, ca: string): Promise<string> {
  return new Promise((resolve) => {
    const servername = 'paceline-webhook.paceline-system.svc';
    const socket = connect({ port, host: '127.0.0.1', ca, servername }, () => {
      socket.destroy();
      resolve('ok');
    });
    socket.on('error', (error) => resolve(String(error)));
  });
}

async function until(holds: () => boolean): Promise<void> {
  for (const started = Date.now(); !holds(); ) {
    if (Date.now() - started > 10_000) throw new Error('it did not come to be');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
