import { connect, createServer, type TLSSocket } from 'node:tls';
import * as assert from 'uvu/assert';
import {
  bundleOf,
  type Certificates,
  endOf,
  overlapMs,
  renewed,
} from '../../../src/controller/admission/certificates.ts';
import { suite } from '../../support/suite.ts';

const names = ['paceline-webhook.paceline-system.svc', 'paceline-webhook.paceline-system.svc.cluster.local'];
const day = 24 * 3_600_000;
const none: Certificates = { authorities: [] };

suite('certificates of the webhooks', (test) => {
  test('what is broken, of another name or from the future is made anew', async () => {
    const now = Date.now();
    const good = await renewed(none, names, now);
    const broken = { authorities: [{ certificate: 'x', key: 'y' }], serving: good.serving };
    const mended = await renewed(broken, names, now);
    assert.is(mended.authorities.length, 1);
    assert.is.not(mended.serving, good.serving);
    assert.is.not((await renewed(good, ['other.svc'], now)).serving, good.serving);
    assert.is.not((await renewed(good, names, now - 2 * day)).serving, good.serving);
    const swapped = { ...good, serving: (await renewed(none, names, now)).serving };
    assert.is.not((await renewed(swapped, names, now)).serving, swapped.serving);
  });

  test('while nothing is due the same object comes back', async () => {
    const now = Date.now();
    const made = await renewed(none, names, now);
    for (const later of [0, day, 59 * day]) assert.is(await renewed(made, names, now + later), made);
  });

  test('a client that trusts the bundle connects by the name of the Service, and to no other name', async () => {
    const made = await renewed(none, names, Date.now());
    assert.is(await handshake(made, bundleOf(made), names[0] as string), 'ok');
    assert.match(await handshake(made, bundleOf(made), 'kubernetes.default.svc'), /ALTNAME/);
    assert.match(
      await handshake(made, bundleOf(await renewed(none, names, Date.now())), names[0] as string),
      /SIGNATURE|VERIFY|ISSUER/,
    );
  });

  test('over four years what is served is always in force, and signed by what was published a day before', async () => {
    const start = Date.UTC(2026, 0, 1);
    let current = await renewed(none, names, start);
    const publishedAt = new Map(current.authorities.map(({ certificate }) => [certificate, start - overlapMs]));
    const signers = new Set<string>();
    let authoritiesMax = 0;
    let changedAt = start;
    // In steps of ten days, and of half a day where something has just changed.
    for (let now = start; now < start + 4 * 365 * day; now += now - changedAt < 3 * day ? day / 2 : 10 * day) {
      const next = await renewed(current, names, now);
      for (const { certificate } of next.authorities) {
        if (!publishedAt.has(certificate)) publishedAt.set(certificate, now);
      }
      if (next.serving !== current.serving) {
        const signer = await signerOf(next);
        assert.ok(now - (publishedAt.get(signer) as number) >= overlapMs, 'API servers knew the authority for a day');
        // Replicas that have not looked yet still show the last one: its authority stays.
        const before = await signerOf(current);
        assert.ok(next.authorities.some(({ certificate }) => certificate === before));
        signers.add(signer);
      }
      assert.ok(endOf((next.serving as { certificate: string }).certificate) > now + 15 * day);
      if (next !== current) changedAt = now;
      authoritiesMax = Math.max(authoritiesMax, next.authorities.length);
      current = next;
    }
    assert.ok(signers.size >= 2, 'an authority was replaced');
    assert.is(authoritiesMax, 2);
    assert.is(current.authorities.length, 1);
  });
});

/** The authority that signed what is served. */
async function signerOf({ authorities, serving }: Certificates): Promise<string> {
  const { X509Certificate } = await import('node:crypto');
  const served = new X509Certificate((serving as { certificate: string }).certificate);
  const found = authorities.find(({ certificate }) => served.verify(new X509Certificate(certificate).publicKey));
  if (!found) throw new Error('no authority of the bundle signed what is served');
  return found.certificate;
}

function handshake({ serving }: Certificates, ca: string, servername: string): Promise<string> {
  const { certificate, key } = serving as { certificate: string; key: string };
  const server = createServer({ cert: certificate, key }, (socket) => socket.end());
  server.on('tlsClientError', () => {});
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      const end = (said: string, socket: TLSSocket) => {
        socket.destroy();
        server.close(() => resolve(said));
      };
      const socket = connect({ port, host: '127.0.0.1', ca, servername }, () => end('ok', socket));
      socket.on('error', (error: NodeJS.ErrnoException) => end(`${error.code} ${error.message}`.toUpperCase(), socket));
    });
  });
}
