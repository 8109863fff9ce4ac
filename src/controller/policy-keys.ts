import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { Clock } from '../kube/clock.ts';
import type { KubeApi } from '../kube/kube-api.ts';
import { isConflict, isNotFound } from '../kube/kube-error.ts';
import { type KubeObject, kinds } from '../kube/objects.ts';

/** The Secret that holds the keys with which policy documents are signed. */
export const policyKeysSecret = 'paceline-policy-keys';

const day = 24 * 3_600_000;
/** A pod knows the current and the next key of the day it was made: it can be told things for at least this long. */
const keyLifeMs = 180 * day;
const tries = 5;

/** PEM (PKCS #8) of Ed25519 keys. */
interface Keys {
  readonly current: string;
  readonly next: string;
  /** ms since 1970. */
  readonly since: number;
}

/**
 * The keys with which policy documents are signed, shared by all replicas through one Secret that only the controller
 * reads. The first replica makes them; every 180 days the next key becomes the current one.
 */
export class PolicyKeys {
  readonly #api: KubeApi;
  readonly #namespace: string;
  readonly #clock: Clock;
  #keys: Keys | undefined;

  constructor(api: KubeApi, namespace: string, clock: Clock) {
    this.#api = api;
    this.#namespace = namespace;
    this.#clock = clock;
  }

  /**
   * Reads the Secret, and makes or rotates keys where it is time to. To be called at start and now and then.
   *
   * @throws {KubeError} where the Secret can be neither read nor written; keys that were read before stay in use.
   */
  async refresh(): Promise<void> {
    for (let i = 0; ; i++) {
      const secret = await this.#read();
      const known = secret && keysIn(secret);
      const wanted = dueKeys(known, this.#clock.wallMs());
      if (wanted === known) {
        this.#keys = known;
        return;
      }
      try {
        await this.#write(secret, wanted);
        this.#keys = wanted;
        return;
      } catch (error) {
        // Another replica was faster: its keys are as good.
        if (!isConflict(error) || i >= tries) throw error;
      }
    }
  }

  /** Public keys for pods: base64 of SPKI DER, the current one first. Empty before the first refresh. */
  publicKeys(): string[] {
    if (!this.#keys) return [];
    return [this.#keys.current, this.#keys.next].map((pem) =>
      createPublicKey(pem).export({ type: 'spki', format: 'der' }).toString('base64'),
    );
  }

  /** The key to sign with, as PEM; undefined before the first refresh. */
  signingKeyPem(): string | undefined {
    return this.#keys?.current;
  }

  async #read(): Promise<KubeObject | undefined> {
    try {
      return await this.#api.get(kinds.secret, { namespace: this.#namespace, name: policyKeysSecret });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #write(secret: KubeObject | undefined, { current, next, since }: Keys): Promise<void> {
    const data = { 'current.pem': encoded(current), 'next.pem': encoded(next), since: encoded(String(since)) };
    const metadata = { name: policyKeysSecret, namespace: this.#namespace };
    if (!secret) {
      await this.#api.create(kinds.secret, { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data });
      return;
    }
    // The version makes it fail where another replica wrote since.
    const { resourceVersion } = secret.metadata;
    const patch = { metadata: { resourceVersion }, data };
    await this.#api.mergePatch(kinds.secret, metadata, patch);
  }
}

/** The keys that should be in force: the same object where they are. */
function dueKeys(known: Keys | undefined, now: number): Keys {
  if (!known) return { current: newKey(), next: newKey(), since: now };
  return now - known.since > keyLifeMs ? { current: known.next, next: newKey(), since: now } : known;
}

function newKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function keysIn(secret: KubeObject): Keys | undefined {
  const data = (secret.data ?? {}) as Record<string, string | undefined>;
  const [current, next, since] = ['current.pem', 'next.pem', 'since'].map((name) => decoded(data[name]));
  if (!current || !next || !isKey(current) || !isKey(next) || !Number.isFinite(Number(since))) return undefined;
  return { current, next, since: Number(since) };
}

function isKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyType === 'ed25519';
  } catch {
    return false;
  }
}

function encoded(text: string): string {
  return Buffer.from(text).toString('base64');
}

function decoded(text: string | undefined): string | undefined {
  return text === undefined ? undefined : Buffer.from(text, 'base64').toString();
}
