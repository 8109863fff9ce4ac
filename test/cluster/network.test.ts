import { Resolver } from 'node:dns/promises';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { run } from './command.ts';
import { sources, systemIngressClass } from './settings.ts';
import { applyAsUser, kubectl, until } from './support/cluster.ts';
import { ask } from './support/requests.ts';

suite("the cluster's network", (test) => {
  const resolver = new Resolver({ timeout: 2000, tries: 1 });
  resolver.setServers(['10.96.0.10']);

  test('nothing outside the cluster can be reached', async () => {
    const failed = await ask({ address: '192.0.2.1', port: 80, host: 'example.com', path: '/', timeoutMs: 3000 }).then(
      () => false,
      () => true,
    );
    assert.ok(failed);
  });

  test('names outside the cluster do not exist', async () => {
    const code = await resolver.resolve4('example.com').catch((error: NodeJS.ErrnoException) => error.code);
    assert.is(code, 'ENOTFOUND');
  });

  test("a Service's name has its address, through the Service of DNS itself", async () => {
    assert.equal(await resolver.resolve4('kubernetes.default.svc.cluster.local'), ['10.96.0.1']);
    assert.equal(
      await resolver
        .resolve6('kubernetes.default.svc.cluster.local')
        .catch((error: NodeJS.ErrnoException) => error.code),
      'ENODATA',
    );
  });

  test('tags in a header choose among the routes of a host', async () => {
    // The API server's own Service, because Knative allows an ingress only to Services of its namespace.
    const split = (serviceName: string) => ({
      ...{ serviceNamespace: 'default', serviceName, servicePort: 443, percent: 100 },
    });
    await applyAsUser({
      apiVersion: 'networking.internal.knative.dev/v1alpha1',
      kind: 'Ingress',
      metadata: {
        name: 'tags',
        namespace: 'default',
        annotations: { 'networking.knative.dev/ingress.class': systemIngressClass },
      },
      spec: {
        httpOption: 'Enabled',
        rules: [
          {
            hosts: ['tags.example.com'],
            visibility: 'ExternalIP',
            http: {
              paths: [
                { splits: [split('nobody')] },
                { headers: { 'Knative-Serving-Tag': { exact: 'next' } }, splits: [split('kubernetes')] },
              ],
            },
          },
        ],
      },
    });
    const host = 'tags.example.com';
    try {
      const untagged = async () => (await ask({ host, path: '/' })).status;
      await until('the route', async () => (await untagged()) !== 404, 10_000);
      assert.is(await untagged(), 503, 'the Service of the untagged route does not exist');
      const tagged = await ask({ host, path: '/', headers: { 'Knative-Serving-Tag': 'next' } });
      assert.is(tagged.status, 400);
      assert.match(tagged.text, /HTTPS server/, 'the API server refuses to be spoken to without TLS');
    } finally {
      await kubectl(['-n', 'default', 'delete', 'king', 'tags']);
    }
  });

  test("the gateway's and the model's own tests hold", async () => {
    const env = { ...process.env, GOTOOLCHAIN: 'local', CGO_ENABLED: '0' };
    await run('go', ['test', './...'], { cwd: join(sources, 'go/helpers'), env });
  });
});
