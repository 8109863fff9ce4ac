import { readFile } from 'node:fs/promises';
import { type Chance, type Clock, jittered, pause } from '../../kube/clock.ts';
import type { Log } from '../../telemetry/log.ts';
import type { CertificateStore } from './certificate-store.ts';
import type { KeyedCertificate } from './certificates.ts';

/** Where the serving certificate comes from. */
export interface CertificateSource {
  /** Mounted files take precedence over everything else. */
  readonly files?: { readonly certificate: string; readonly key: string };
  readonly store: CertificateStore;
  /** Somebody else keeps the Secret, and writes what is to be trusted. */
  readonly external: boolean;
}

const periodMs = 60_000;
const retryMs = 2_000;

/** Has a serving certificate at any time, and tells when there is another one. */
export class CertificateKeeper {
  readonly #source: CertificateSource;
  readonly #clock: Clock;
  readonly #chance: Chance;
  readonly #log: Log;
  readonly #stop = new AbortController();
  readonly #changed: (serving: KeyedCertificate) => void;
  #serving: KeyedCertificate | undefined;
  #published = false;
  #running: Promise<void> = Promise.resolve();

  /** @param changed is told of each certificate after the first */
  constructor(
    source: CertificateSource,
    parts: { clock: Clock; chance: Chance; log: Log },
    changed: (serving: KeyedCertificate) => void,
  ) {
    this.#source = source;
    this.#clock = parts.clock;
    this.#chance = parts.chance;
    this.#log = parts.log;
    this.#changed = changed;
  }

  /** Waits for the first certificate. Undefined only where it was stopped before there was one. */
  async start(): Promise<KeyedCertificate | undefined> {
    const { signal } = this.#stop;
    while (!signal.aborted && !(await this.#pass())) await pause(this.#clock, retryMs, signal);
    this.#running = this.#run(signal);
    return this.#serving;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // What is not published yet is looked at more often: the configurations may be installed after us.
      const delayMs = this.#published ? periodMs : retryMs;
      await pause(this.#clock, jittered(delayMs, 0.2, this.#chance), signal);
      if (!signal.aborted) await this.#pass();
    }
  }

  /** One look. Whether there is a certificate to serve. */
  async #pass(): Promise<boolean> {
    try {
      const serving = await this.#read();
      const before = this.#serving;
      if (!serving) {
        this.#log.warn(
          { code: 'PL_CERTIFICATE_MISSING' },
          'there is no certificate for the webhooks yet: waiting for it',
        );
        return before !== undefined;
      }
      this.#serving = serving;
      if (before && (before.certificate !== serving.certificate || before.key !== serving.key)) this.#changed(serving);
    } catch (error) {
      this.#log.warn(
        { code: 'PL_CERTIFICATE', detail: String(error) },
        this.#serving ? 'the certificate could not be looked at: the one before serves on' : 'no certificate yet',
      );
    }
    return this.#serving !== undefined;
  }

  async #read(): Promise<KeyedCertificate | undefined> {
    const { files, store, external } = this.#source;
    if (files || external) this.#published = true;
    if (files)
      return { certificate: await readFile(files.certificate, 'utf8'), key: await readFile(files.key, 'utf8') };
    if (external) return await store.external();
    const certificates = await store.refresh();
    try {
      this.#published = await store.publish(certificates);
    } catch (error) {
      this.#published = false;
      this.#log.warn(
        { code: 'PL_CERTIFICATE_PUBLISH', detail: String(error) },
        'the webhook configurations could not be told what to trust: trying again',
      );
    }
    return certificates.serving;
  }
}
