import * as assert from 'uvu/assert';
import { CertificateStore, certificateSecret } from '../../../src/controller/admission/certificate-store.ts';
import { bundleOf } from '../../../src/controller/admission/certificates.ts';
import { PolicyKeys, policyKeysSecret } from '../../../src/controller/policy-keys.ts';
import { type Clock, systemClock } from '../../../src/kube/clock.ts';
import { KubeError } from '../../../src/kube/kube-error.ts';
import { kinds } from '../../../src/kube/objects.ts';
import { suite } from '../../support/suite.ts';
import { MemoryApi } from './memory-api.ts';

const namespace = 'paceline-system';
const service = 'paceline-webhook';
const day = 24 * 3_600_000;
const store = (memory: MemoryApi, clock: Clock = systemClock) =>
  new CertificateStore(memory.api, namespace, service, clock);
const later = (ms: number): Clock => ({ ...systemClock, wallMs: () => Date.now() + ms });

function webhook(name: string, inNamespace: string) {
  return { name, clientConfig: { service: { name: service, namespace: inNamespace, path: '/x' } }, rules: [] };
}

suite('shared secrets', (test) => {
  test('an API server that does not answer is an error, not a new certificate', async () => {
    const memory = new MemoryApi();
    memory.down = true;
    try {
      await store(memory).refresh();
      assert.unreachable();
    } catch (error) {
      assert.instance(error, KubeError);
    }
    assert.equal(memory.writes, []);
  });

  test('two replicas that begin together end with one certificate', async () => {
    const memory = new MemoryApi();
    memory.put(kinds.secret, { metadata: { namespace, name: certificateSecret } });
    const second = store(memory);
    let other: Promise<unknown> = Promise.resolve();
    memory.before = () => {
      other = second.refresh();
      memory.put(kinds.secret, { metadata: { namespace, name: certificateSecret } });
    };
    const one = await store(memory).refresh();
    await other;
    assert.equal(await store(memory).refresh(), await second.refresh());
    assert.equal((await store(memory).refresh()).serving, (await second.refresh()).serving);
    assert.ok(one.serving.certificate.startsWith('-----BEGIN CERTIFICATE-----'));
  });

  test('the Secret may be there and empty, or not be there; what is in force is not written again', async () => {
    for (const shipped of [true, false]) {
      const memory = new MemoryApi();
      if (shipped) memory.put(kinds.secret, { metadata: { namespace, name: certificateSecret } });
      const { serving } = await store(memory).refresh();
      assert.equal(memory.writes, [`${shipped ? 'patch' : 'create'} secrets/${namespace}/${certificateSecret}`]);
      assert.equal((await store(memory, later(50 * day)).refresh()).serving, serving);
      assert.is(memory.writes.length, 1);
      assert.not.equal((await store(memory, later(70 * day)).refresh()).serving, serving);
      assert.is(memory.writes.length, 2);
    }
  });

  test('what to trust is written into our webhooks only, once, and again when somebody applies the manifests anew', async () => {
    const memory = new MemoryApi();
    const certificates = await store(memory).refresh();
    assert.is(await store(memory).publish(certificates), false);
    const webhooks = [webhook('pod.paceline.dev', namespace), webhook('other', 'elsewhere')];
    const configuration = { metadata: { name: 'paceline.dev' }, webhooks };
    memory.put(kinds.mutatingWebhook, configuration);
    memory.put(kinds.validatingWebhook, configuration);
    memory.writes.length = 0;
    assert.is(await store(memory).publish(certificates), true);
    assert.is(await store(memory).publish(certificates), true);
    assert.is(memory.writes.length, 2);
    const written = (await memory.get(kinds.mutatingWebhook, { name: 'paceline.dev' })).webhooks as {
      clientConfig: { caBundle?: string; service: object };
    }[];
    assert.is(written[0]?.clientConfig.caBundle, Buffer.from(bundleOf(certificates)).toString('base64'));
    assert.equal(written[0]?.clientConfig.service, webhooks[0]?.clientConfig.service);
    assert.is(written[1]?.clientConfig.caBundle, undefined);
    memory.put(kinds.mutatingWebhook, configuration);
    await store(memory).publish(certificates);
    assert.is(memory.writes.length, 3);
  });

  test('a webhook configuration that somebody else writes meanwhile keeps what they wrote', async () => {
    const memory = new MemoryApi();
    const certificates = await store(memory).refresh();
    memory.put(kinds.mutatingWebhook, { metadata: { name: 'paceline.dev' }, webhooks: [webhook('a', namespace)] });
    memory.before = () =>
      memory.put(kinds.mutatingWebhook, {
        metadata: { name: 'paceline.dev' },
        webhooks: [webhook('a', namespace), webhook('b', namespace)],
      });
    await store(memory).publish(certificates);
    const { webhooks } = await memory.get(kinds.mutatingWebhook, { name: 'paceline.dev' });
    assert.equal(
      (webhooks as { name: string; clientConfig: { caBundle?: string } }[]).map((each) => [
        each.name,
        each.clientConfig.caBundle !== undefined,
      ]),
      [
        ['a', true],
        ['b', true],
      ],
    );
  });

  test('signing keys: made once, shared, and the next one becomes the current one', async () => {
    const memory = new MemoryApi();
    const one = new PolicyKeys(memory.api, namespace, systemClock);
    assert.equal(one.publicKeys(), []);
    assert.is(one.signingKeyPem(), undefined);
    await one.refresh();
    const other = new PolicyKeys(memory.api, namespace, later(100 * day));
    await other.refresh();
    assert.equal(other.publicKeys(), one.publicKeys());
    assert.is(memory.writes.length, 1);
    const rotated = new PolicyKeys(memory.api, namespace, later(181 * day));
    await rotated.refresh();
    assert.is(rotated.publicKeys()[0], one.publicKeys()[1]);
    assert.is(new Set([...rotated.publicKeys(), ...one.publicKeys()]).size, 3);
    memory.put(kinds.secret, { metadata: { namespace, name: policyKeysSecret }, data: { 'current.pem': 'eA==' } });
    await one.refresh();
    assert.is(one.publicKeys().length, 2);
  });
});
