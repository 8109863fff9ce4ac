import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** A certificate with its key, as PEM. */
export interface KeyedCertificate {
  readonly certificate: string;
  readonly key: string;
}

/**
 * The certificates of the webhooks. All authorities are trusted by the API server (they make the `caBundle`), the newest
 * first; one of them has signed what is served.
 */
export interface Certificates {
  readonly authorities: readonly KeyedCertificate[];
  readonly serving?: KeyedCertificate | undefined;
}

const hour = 3_600_000;
const day = 24 * hour;
const authorityLifeMs = 730 * day;
const servingLifeMs = 90 * day;
/** A certificate is renewed when it has lived for this share of its time. */
const renewAt = 2 / 3;
/** A new authority is published for so long before it signs, and an old one stays for so long after it signed last. */
export const overlapMs = day;
/** Certificates are valid from a little before they are made: clocks differ. */
const skewMs = hour;

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);

/**
 * The certificates that should be in force: the same object where they are. At each step what is served is signed by an
 * authority that API servers have known for a day, except the very first.
 *
 * @param names host names that are asked for, the first also as common name
 * @param now ms since 1970
 */
export async function renewed(current: Certificates, names: readonly string[], now: number): Promise<Certificates> {
  let authorities = current.authorities.filter((each) => isInForce(each, now));
  const newest = authorities[0];
  if (!newest || isDue(newest, now)) authorities = [await newAuthority(now), ...authorities];
  const signer = authorities.find((each) => ageMs(each, now) >= overlapMs) ?? (authorities.at(-1) as KeyedCertificate);

  let { serving } = current;
  if (!serving || !(await serves(serving, signer, names, now))) serving = await newServing(signer, names, now);

  // What signed earlier may go once everybody has what was signed later.
  const settled = ageMs(serving, now) >= overlapMs;
  const at = authorities.indexOf(signer);
  if (settled) authorities = authorities.slice(0, at + 1);

  const same =
    serving === current.serving &&
    authorities.length === current.authorities.length &&
    authorities.every((each, i) => each === current.authorities[i]);
  return same ? current : { authorities, serving };
}

/** What the API server is told to trust. */
export function bundleOf({ authorities }: Certificates): string {
  return authorities.map(({ certificate }) => certificate.trim()).join('\n');
}

/** When a certificate ends, in ms since 1970. @throws where the text is none. */
export function endOf(certificate: string): number {
  return new x509.X509Certificate(certificate).notAfter.getTime();
}

async function serves(
  serving: KeyedCertificate,
  signer: KeyedCertificate,
  names: readonly string[],
  now: number,
): Promise<boolean> {
  if (!isInForce(serving, now) || isDue(serving, now)) return false;
  const parsed = new x509.X509Certificate(serving.certificate);
  const known = parsed.getExtension(x509.SubjectAlternativeNameExtension)?.names.items.map(({ value }) => value) ?? [];
  if (names.some((name) => !known.includes(name))) return false;
  return parsed.verify({ publicKey: new x509.X509Certificate(signer.certificate).publicKey, signatureOnly: true });
}

function isInForce({ certificate, key }: KeyedCertificate, now: number): boolean {
  try {
    const { notBefore, notAfter } = new x509.X509Certificate(certificate);
    return key.includes('PRIVATE KEY') && notBefore.getTime() <= now && now < notAfter.getTime();
  } catch {
    return false;
  }
}

function isDue({ certificate }: KeyedCertificate, now: number): boolean {
  const { notBefore, notAfter } = new x509.X509Certificate(certificate);
  return now >= notBefore.getTime() + renewAt * (notAfter.getTime() - notBefore.getTime());
}

function ageMs({ certificate }: KeyedCertificate, now: number): number {
  return now - new x509.X509Certificate(certificate).notBefore.getTime() - skewMs;
}

async function newAuthority(now: number): Promise<KeyedCertificate> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    // Each authority has a name of its own, so that a chain is never built with the other one's key.
    name: `CN=paceline-webhook-ca-${serialNumber().slice(0, 8)}`,
    notBefore: new Date(now - skewMs),
    notAfter: new Date(now + authorityLifeMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await exported(keys.privateKey) };
}

async function newServing(
  authority: KeyedCertificate,
  names: readonly string[],
  now: number,
): Promise<KeyedCertificate> {
  const keys = await newKeys();
  const issuer = new x509.X509Certificate(authority.certificate);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ CN: [(names[0] as string).slice(0, 64)] }],
    issuer: issuer.subject,
    notBefore: new Date(now - skewMs),
    notAfter: new Date(Math.min(now + servingLifeMs, issuer.notAfter.getTime())),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: await imported(authority.key),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value }))),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await exported(keys.privateKey) };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;
}

async function exported(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

function imported(pem: string): Promise<webcrypto.CryptoKey> {
  const [raw] = x509.PemConverter.decode(pem);
  return webcrypto.subtle.importKey('pkcs8', raw as ArrayBuffer, algorithm, false, ['sign']);
}

/** Positive, and never the same twice. */
function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}
