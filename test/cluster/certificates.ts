import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { nodeAddress, paths } from './settings.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const validDays = 365;

/** Files of the cluster's public key infrastructure, below run/pki. */
export const pki = join(paths.run, 'pki');
export const kserveWebhookHost = 'kserve-webhook-server-service.kserve.svc';

interface Authority {
  certificate: X509Certificate;
  keys: webcrypto.CryptoKeyPair;
}

/** Who the cluster's programs are, by the name of their files. */
const clients: Record<string, { subject: string; names?: JsonGeneralName[] }> = {
  admin: { subject: 'O=system:masters, CN=admin' },
  gateway: { subject: 'O=system:masters, CN=gateway' },
  'controller-manager': { subject: 'CN=system:kube-controller-manager' },
  scheduler: { subject: 'CN=system:kube-scheduler' },
  proxy: { subject: 'CN=system:kube-proxy' },
  kubelet: { subject: 'O=system:nodes, CN=system:node:node1', names: [ip(nodeAddress), dns('node1')] },
  'apiserver-kubelet': { subject: 'O=system:masters, CN=apiserver-kubelet' },
};

/** Makes the certificates and kubeconfigs of one life of the cluster: an authority of its own, nothing is kept. */
export async function makeCertificates(): Promise<void> {
  mkdirSync(pki, { recursive: true, mode: 0o700 });
  const authority = await makeAuthority();
  await issue(authority, 'apiserver', 'CN=kube-apiserver', [
    ...['127.0.0.1', nodeAddress, '10.96.0.1'].map(ip),
    ...['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'].map(dns),
    dns('kubernetes.default.svc.cluster.local'),
  ]);
  await issue(authority, 'kserve', `CN=${kserveWebhookHost}`, [dns(kserveWebhookHost)]);
  for (const [name, { subject, names }] of Object.entries(clients)) {
    const pair = await issue(authority, name, subject, names ?? []);
    const at = name === 'admin' ? paths.kubeconfig : join(pki, `${name}.kubeconfig`);
    write(at, kubeconfig(authority.certificate.toString('pem'), pair));
  }
  const serviceAccounts = await generateKeys();
  write(join(pki, 'service-accounts.key'), await privatePem(serviceAccounts));
  const spki = await webcrypto.subtle.exportKey('spki', serviceAccounts.publicKey);
  write(join(pki, 'service-accounts.pub'), PemConverter.encode(spki, 'PUBLIC KEY'));
}

async function makeAuthority(): Promise<Authority> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...validity(),
    name: 'CN=paceline-test-authority',
    serialNumber: serialNumber(),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.digitalSignature, true),
    ],
  });
  write(join(pki, 'ca.crt'), certificate.toString('pem'));
  write(join(pki, 'ca.key'), await privatePem(keys));
  return { certificate, keys };
}

/** Issues a certificate that serves for both ends of a connection, and writes NAME.crt and NAME.key. */
async function issue(
  authority: Authority,
  name: string,
  subject: string,
  names: JsonGeneralName[],
): Promise<{ certificate: string; key: string }> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.create({
    ...validity(),
    subject,
    issuer: authority.certificate.subject,
    serialNumber: serialNumber(),
    publicKey: keys.publicKey,
    signingKey: authority.keys.privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth, ExtendedKeyUsage.serverAuth]),
      ...(names.length > 0 ? [new SubjectAlternativeNameExtension(names)] : []),
    ],
  });
  const pair = { certificate: certificate.toString('pem'), key: await privatePem(keys) };
  write(join(pki, `${name}.crt`), pair.certificate);
  write(join(pki, `${name}.key`), pair.key);
  return pair;
}

/** A kubeconfig with everything inside, so that it can be copied. */
function kubeconfig(authority: string, pair: { certificate: string; key: string }): string {
  const base64 = (pem: string) => Buffer.from(pem).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'paceline-test',
        cluster: { server: `https://${nodeAddress}:6443`, 'certificate-authority-data': base64(authority) },
      },
    ],
    users: [
      {
        name: 'user',
        user: { 'client-certificate-data': base64(pair.certificate), 'client-key-data': base64(pair.key) },
      },
    ],
    contexts: [{ name: 'paceline-test', context: { cluster: 'paceline-test', user: 'user' } }],
    'current-context': 'paceline-test',
  });
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
}

async function privatePem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
}

function validity(): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - 3_600_000), notAfter: new Date(now + validDays * 86_400_000) };
}

function serialNumber(): string {
  // A positive number: the first byte is below 128.
  return `01${Buffer.from(webcrypto.getRandomValues(new Uint8Array(8))).toString('hex')}`;
}

function ip(value: string): JsonGeneralName {
  return { type: 'ip', value };
}

function dns(value: string): JsonGeneralName {
  return { type: 'dns', value };
}

function write(path: string, text: string): void {
  writeFileSync(path, `${text.trim()}\n`, { mode: 0o600 });
}
