import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

/** What the controller tells running companions. They take it only signed, for themselves, fresh and in order. */
export interface PolicyDocument {
  readonly schemaVersion: 1;
  readonly isvcUid: string;
  readonly revision: string;
  /** In ms since 1970. */
  readonly issuedAt: number;
  /** A new leader's documents come after all of the old one's. */
  readonly sequence: readonly [leaseTransitions: number, counter: number];
  /** At most 5 minutes. */
  readonly ttlMs: number;
  readonly mode: 'act' | 'advise' | 'off';
  readonly maxBatchSize?: number;
  readonly patience?: number | 'auto';
  readonly sloMs?: number;
  readonly sloQuantile?: number;
  readonly late?: 'defer' | 'shed';
  readonly lateTimeoutMs?: number;
}

/** Why a companion did not take a document. */
export type DocumentRefusal =
  | 'PL_POLICY_SIZE'
  | 'PL_POLICY_FORMAT'
  | 'PL_POLICY_SIGNATURE'
  | 'PL_POLICY_SCHEMA'
  | 'PL_POLICY_VALUE'
  | 'PL_POLICY_TARGET'
  | 'PL_POLICY_EXPIRED'
  | 'PL_POLICY_EARLY'
  | 'PL_POLICY_SEQUENCE';

export const documentBytesMax = 16_384;
export const documentTtlMsMax = 300_000;
/** How far the clocks of a controller and a companion may be apart. */
export const clockSkewMs = 30_000;

/** What is signed begins with this, so that no signature of the same key over anything else is one over a policy. */
const context = Buffer.from('paceline policy document\0');

/** By hand, not by a schema library: this runs in every pod, where a library's start and memory count. */
const fields: Readonly<Record<keyof PolicyDocument, { required: boolean; holds: (value: unknown) => boolean }>> = {
  schemaVersion: { required: true, holds: (value) => value === 1 },
  isvcUid: { required: true, holds: isText(128) },
  revision: { required: true, holds: isText(253) },
  issuedAt: { required: true, holds: isCount },
  sequence: {
    required: true,
    holds: (value) => Array.isArray(value) && value.length === 2 && value.every(isCount),
  },
  ttlMs: { required: true, holds: (value) => isCount(value) && isBetween(1, documentTtlMsMax)(value) },
  mode: { required: true, holds: isOneOf('act', 'advise', 'off') },
  maxBatchSize: { required: false, holds: (value) => isCount(value) && isBetween(1, 1024)(value) },
  patience: { required: false, holds: (value) => value === 'auto' || isBetween(0, 1)(value) },
  sloMs: { required: false, holds: isBetween(1, 3_600_000) },
  sloQuantile: { required: false, holds: isBetween(0.5, 0.9999) },
  late: { required: false, holds: isOneOf('defer', 'shed') },
  lateTimeoutMs: { required: false, holds: isBetween(1, 3_600_000) },
};

/** The key that was read last: reading it takes ten times as long as signing with it. */
let lastKey: { readonly pem: string; readonly key: KeyObject } | undefined;

function privateKeyOf(pem: string): KeyObject {
  if (lastKey?.pem !== pem) {
    const key = createPrivateKey(pem);
    requireEd25519(key);
    lastKey = { pem, key };
  }
  return lastKey.key;
}

/**
 * Writes and signs a document: `base64url(payload).base64url(signature)`.
 *
 * @param privateKeyPem an Ed25519 key, PKCS #8
 * @throws {TypeError} where the key is of another kind, or companions would not take the document.
 */
export function signDocument(document: PolicyDocument, privateKeyPem: string): string {
  const key = privateKeyOf(privateKeyPem);
  const wrong = wrongFieldOf(document);
  if (wrong !== undefined) throw new TypeError(`no companion takes a policy document with this ${wrong}`);
  const payload = Buffer.from(JSON.stringify(document));
  const signature = sign(null, Buffer.concat([context, payload]), key);
  const text = `${payload.toString('base64url')}.${signature.toString('base64url')}`;
  if (text.length > documentBytesMax) throw new TypeError(`a policy document of ${text.length} bytes is too long`);
  return text;
}

/** Public keys, SPKI: PEM, or base64 of DER. The next one is used once the current one is retired. */
export interface DocumentKeys {
  readonly current: string;
  readonly next?: string | undefined;
}

/** Whose documents a companion takes. */
export interface DocumentIdentity {
  readonly isvcUid: string;
  readonly revision: string;
}

/**
 * Takes policy documents in, one companion's. What holds is the document with the highest sequence until it expires.
 *
 * The highest sequence is kept in memory: after a restart a companion may take an older document again, for as long as
 * that one lives, at most 5 minutes.
 */
export class DocumentGate {
  #keys: KeyObject[];
  readonly #identity: DocumentIdentity;
  #held: PolicyDocument | undefined;

  /** @throws where a key is not an Ed25519 public key. */
  constructor(keys: DocumentKeys, identity: DocumentIdentity) {
    const texts = keys.next === undefined ? [keys.current] : [keys.current, keys.next];
    this.#keys = texts.map(publicKeyOf);
    this.#identity = identity;
  }

  /**
   * Takes a document, or says why not. Nothing is parsed before the signature is known to be good.
   *
   * @param now in ms since 1970
   */
  accept(text: string, now: number): { document: PolicyDocument } | { refused: DocumentRefusal } {
    if (Buffer.byteLength(text) > documentBytesMax) return { refused: 'PL_POLICY_SIZE' };
    const [payload, signature, ...rest] = text.split('.').map(fromBase64Url);
    if (payload === undefined || signature?.length !== 64 || rest.length > 0) return { refused: 'PL_POLICY_FORMAT' };
    const signed = Buffer.concat([context, payload]);
    const signer = this.#keys.findIndex((key) => verify(null, signed, key, signature));
    if (signer < 0) return { refused: 'PL_POLICY_SIGNATURE' };
    const read = readPayload(payload);
    if ('refused' in read) return read;
    const refused = this.#refusal(read.document, now);
    if (refused !== undefined) return { refused };
    // A document under the next key is the word of a controller that has rotated: the old key may be in wrong hands.
    this.#keys = this.#keys.slice(signer);
    this.#held = read.document;
    return read;
  }

  /** The document in force. Undefined before the first and after expiry: then the injected configuration holds. */
  current(now: number): PolicyDocument | undefined {
    return this.#held !== undefined && isAlive(this.#held, now) ? this.#held : undefined;
  }

  /** The highest sequence that was taken, also after expiry. */
  get sequence(): PolicyDocument['sequence'] | undefined {
    return this.#held?.sequence;
  }

  #refusal(document: PolicyDocument, now: number): DocumentRefusal | undefined {
    const { isvcUid, revision } = this.#identity;
    if (document.isvcUid !== isvcUid || document.revision !== revision) return 'PL_POLICY_TARGET';
    if (document.issuedAt > now + clockSkewMs) return 'PL_POLICY_EARLY';
    if (!isAlive(document, now)) return 'PL_POLICY_EXPIRED';
    if (this.#held !== undefined && !isAfter(document.sequence, this.#held.sequence)) return 'PL_POLICY_SEQUENCE';
    return undefined;
  }
}

function isAlive({ issuedAt, ttlMs }: PolicyDocument, now: number): boolean {
  return now >= issuedAt - clockSkewMs && now <= issuedAt + ttlMs + clockSkewMs;
}

function isAfter(one: PolicyDocument['sequence'], other: PolicyDocument['sequence']): boolean {
  return one[0] === other[0] ? one[1] > other[1] : one[0] > other[0];
}

/** Decodes what has exactly one spelling; Node's own decoder takes much more. */
function fromBase64Url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return text !== '' && bytes.toString('base64url') === text ? bytes : undefined;
}

function readPayload(payload: Buffer): { document: PolicyDocument } | { refused: DocumentRefusal } {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch {
    return { refused: 'PL_POLICY_FORMAT' };
  }
  if (typeof value !== 'object' || value === null) return { refused: 'PL_POLICY_FORMAT' };
  if (!('schemaVersion' in value) || value.schemaVersion !== 1) return { refused: 'PL_POLICY_SCHEMA' };
  if (wrongFieldOf(value) !== undefined) return { refused: 'PL_POLICY_VALUE' };
  return { document: knownPartOf(value as PolicyDocument) };
}

/** The first field that is missing, of another type or out of range. */
function wrongFieldOf(value: object): string | undefined {
  return Object.entries(fields).find(([name, { required, holds }]) => {
    const said = (value as Record<string, unknown>)[name];
    return said === undefined ? required : !holds(said);
  })?.[0];
}

/**
 * Fields that this version does not know are left out, so that a newer controller may add hints; what a companion must
 * not overlook gets a new schema version, which this one refuses.
 */
function knownPartOf(document: PolicyDocument): PolicyDocument {
  return Object.fromEntries(
    Object.entries(document).filter(([name]) => Object.hasOwn(fields, name)),
  ) as unknown as PolicyDocument;
}

function isText(lengthMax: number): (value: unknown) => boolean {
  return (value) => typeof value === 'string' && value.length > 0 && value.length <= lengthMax;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isBetween(low: number, high: number): (value: unknown) => boolean {
  return (value) => typeof value === 'number' && value >= low && value <= high;
}

function isOneOf(...words: string[]): (value: unknown) => boolean {
  return (value) => words.includes(value as string);
}

function publicKeyOf(text: string): KeyObject {
  const key = text.startsWith('-----')
    ? createPublicKey(text)
    : createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' });
  requireEd25519(key);
  return key;
}

function requireEd25519(key: KeyObject): void {
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new TypeError(`policy documents are signed with Ed25519, and this key is ${key.asymmetricKeyType}`);
  }
}
