import type { Clock } from '../../kube/clock.ts';
import type { KubeApi } from '../../kube/kube-api.ts';
import { isConflict, isNotFound } from '../../kube/kube-error.ts';
import { type KubeObject, kinds, type ResourceKind } from '../../kube/objects.ts';
import { bundleOf, type Certificates, type KeyedCertificate, renewed } from './certificates.ts';

/** The Secret that all replicas share. Its keys are those of cert-manager, and `ca.key` beside them. */
export const certificateSecret = 'paceline-webhook-cert';
/** The name of both webhook configurations. It sorts after KServe's, so that its webhooks are called before ours. */
export const webhookConfiguration = 'paceline.dev';

const tries = 5;
const pemBlock = /-----BEGIN [A-Z ]+-----[\s\S]+?-----END [A-Z ]+-----/g;

/** Keeps the certificates of the webhooks in a Secret, and what the API server trusts in the webhook configurations. */
export class CertificateStore {
  readonly #api: KubeApi;
  readonly #namespace: string;
  readonly #names: readonly string[];
  readonly #clock: Clock;

  /** @param service the Service through which the API server reaches the webhooks */
  constructor(api: KubeApi, namespace: string, service: string, clock: Clock) {
    this.#api = api;
    this.#namespace = namespace;
    this.#names = [`${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`];
    this.#clock = clock;
  }

  /**
   * The certificates in force, made or renewed where it is time to. Any replica may call it at any time: who writes
   * second takes what the first one wrote.
   *
   * @throws {KubeError} where the Secret can be neither read nor written
   */
  async refresh(): Promise<Certificates & { serving: KeyedCertificate }> {
    for (let i = 0; ; i++) {
      const secret = await this.#read();
      const known = secret ? certificatesIn(secret) : { authorities: [] };
      const wanted = await renewed(known, this.#names, this.#clock.wallMs());
      const serving = wanted.serving as KeyedCertificate;
      if (wanted === known) return { ...wanted, serving };
      try {
        await this.#write(secret, wanted, serving);
        return { ...wanted, serving };
      } catch (error) {
        if (!isConflict(error) || i >= tries) throw error;
      }
    }
  }

  /** What somebody else keeps in the Secret, such as cert-manager; undefined before it is there. */
  async external(): Promise<KeyedCertificate | undefined> {
    const secret = await this.#read();
    return secret && certificatesIn(secret).serving;
  }

  /**
   * Writes what to trust into the webhooks that point at us, where it is something else. Returns whether there is a
   * configuration: it may be installed after us.
   */
  async publish(certificates: Certificates): Promise<boolean> {
    const caBundle = Buffer.from(bundleOf(certificates)).toString('base64');
    const found = [
      await this.#publishIn(kinds.mutatingWebhook, caBundle),
      await this.#publishIn(kinds.validatingWebhook, caBundle),
    ];
    return found.some(Boolean);
  }

  async #publishIn(kind: ResourceKind, caBundle: string): Promise<boolean> {
    for (let i = 0; ; i++) {
      const configuration = await this.#orNothing(this.#api.get(kind, { name: webhookConfiguration }));
      if (!configuration) return false;
      const webhooks = (configuration.webhooks ?? []) as WebhookEntry[];
      const wanted = webhooks.map((webhook) => {
        const ours = webhook.clientConfig?.service?.namespace === this.#namespace;
        return ours ? { ...webhook, clientConfig: { ...webhook.clientConfig, caBundle } } : webhook;
      });
      if (wanted.every((webhook, at) => webhook.clientConfig?.caBundle === webhooks[at]?.clientConfig?.caBundle)) {
        return true;
      }
      // A merge patch replaces the list as a whole; the version makes it fail where somebody wrote since.
      const { resourceVersion } = configuration.metadata;
      const patch = { metadata: { resourceVersion }, webhooks: wanted };
      try {
        await this.#api.mergePatch(kind, { name: webhookConfiguration }, patch);
        return true;
      } catch (error) {
        if (!isConflict(error) || i >= tries) throw error;
      }
    }
  }

  #read(): Promise<KubeObject | undefined> {
    const name = { namespace: this.#namespace, name: certificateSecret };
    return this.#orNothing(this.#api.get(kinds.secret, name));
  }

  async #orNothing(asked: Promise<KubeObject>): Promise<KubeObject | undefined> {
    try {
      return await asked;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #write(secret: KubeObject | undefined, wanted: Certificates, serving: KeyedCertificate): Promise<void> {
    const metadata = { namespace: this.#namespace, name: certificateSecret };
    const texts = {
      'ca.crt': bundleOf(wanted),
      'ca.key': wanted.authorities.map(({ key }) => key.trim()).join('\n'),
      'tls.crt': serving.certificate,
      'tls.key': serving.key,
    };
    const data = Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
    );
    if (!secret) {
      await this.#api.create(kinds.secret, { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data });
      return;
    }
    const { resourceVersion } = secret.metadata;
    await this.#api.mergePatch(kinds.secret, metadata, { metadata: { resourceVersion }, data });
  }
}

interface WebhookEntry {
  readonly clientConfig?: {
    readonly caBundle?: string;
    readonly service?: { readonly namespace?: string };
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/** What a Secret holds; nothing where it is empty, or half of it is missing. */
function certificatesIn(secret: KubeObject): Certificates {
  const data = (secret.data ?? {}) as Readonly<Record<string, string | undefined>>;
  const blocks = (name: string) =>
    Buffer.from(data[name] ?? '', 'base64')
      .toString()
      .match(pemBlock) ?? [];
  const keys = blocks('ca.key');
  const authorities = blocks('ca.crt').flatMap((certificate, i) => {
    const key = keys[i];
    return key === undefined ? [] : [{ certificate, key }];
  });
  const chain = blocks('tls.crt');
  const key = blocks('tls.key')[0];
  return key === undefined || chain.length === 0
    ? { authorities }
    : { authorities, serving: { certificate: chain.join('\n'), key } };
}
