import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { type Chance, type Clock, jittered, pause } from '../kube/clock.ts';
import type { KubeApi } from '../kube/kube-api.ts';
import { LeaseElection } from '../kube/lease-election.ts';
import type { Log } from '../telemetry/log.ts';
import { CertificateKeeper } from './admission/certificate-keeper.ts';
import { CertificateStore } from './admission/certificate-store.ts';
import { endOf } from './admission/certificates.ts';
import { AdmissionMetrics } from './admission/metrics.ts';
import { AdmissionServer, admissionApp } from './admission/server.ts';
import { admissionWebhooks } from './admission/webhooks.ts';
import { companionImage } from './companion-image.ts';
import type { ControllerOptions } from './controller-options.ts';
import { Leadership } from './leadership.ts';
import type { LeaderPart } from './part.ts';
import { PolicyKeys } from './policy-keys.ts';
import { isUninstall } from './uninstall-lease.ts';

/** The Lease, the Deployment and the ServiceAccount of the controller are all called so. */
export const controllerName = 'paceline-controller';

/** What a test may put in place of the real thing. */
export interface ControllerParts {
  readonly api: KubeApi;
  readonly log: Log;
  readonly clock: Clock;
  readonly chance: Chance;
  /** What the leader runs. */
  readonly parts: readonly LeaderPart[];
  /** Something failed after which this process cannot go on. */
  readonly failed: (error: unknown) => void;
}

const keysPeriodMs = 3_600_000;
const keysRetryMs = 5_000;
/** Endpoints take a moment to leave out a replica that is going. */
const leaveMs = 2_000;

/** The controller's process: every replica serves the webhooks, and one of them leads. */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #parts: ControllerParts;
  readonly #registry = new Registry();
  readonly #metrics: AdmissionMetrics;
  readonly #keys: PolicyKeys;
  readonly #keeper: CertificateKeeper;
  readonly #leadership: Leadership;
  readonly #election: LeaseElection;
  readonly #stop = new AbortController();
  #server: AdmissionServer | undefined;
  #admin: Server | undefined;
  #serves = false;

  constructor(options: ControllerOptions, parts: ControllerParts) {
    this.#options = options;
    this.#parts = parts;
    const { api, clock, chance, log } = parts;
    const { namespace, identity } = options;
    collectDefaultMetrics({ register: this.#registry });
    this.#metrics = new AdmissionMetrics(this.#registry);
    this.#keys = new PolicyKeys(api, namespace, clock);
    const files = options.tlsCertFile ? { certificate: options.tlsCertFile, key: options.tlsKeyFile } : undefined;
    const store = new CertificateStore(api, namespace, options.webhookService, clock);
    const source = { store, external: options.certificates === 'external', ...(files ? { files } : {}) };
    this.#keeper = new CertificateKeeper(source, parts, (serving) => {
      this.#server?.present(serving);
      this.#metrics.certificateEnds(endOf(serving.certificate));
      log.info({}, 'the webhooks have a new certificate');
    });
    this.#leadership = new Leadership(parts.parts, log, parts.failed);
    this.#election = new LeaseElection({
      lease: { namespace, name: controllerName },
      // Unique over restarts of a container too, so that nobody takes an old hold for its own.
      identity: `${identity}_${chance().toString(36).slice(2, 10)}`,
      api,
      clock,
      chance,
      log,
      outlives: isUninstall,
      onChange: (leads) => void this.#leadership.change(leads ? this.#context() : undefined),
    });
  }

  /**
   * Serves and stands for election. Returns the ports in use once the webhooks answer.
   *
   * @throws when a port is taken, or the image that pods are given is not known, or was not tried.
   */
  async start(): Promise<{ webhookPort: number; adminPort: number }> {
    const { api } = this.#parts;
    const { host, namespace, identity, image: configured } = this.#options;
    const adminPort = await this.#serveAdmin();
    const image = await companionImage(api, namespace, identity, configured).catch(noImage);
    // A pod that is made without our keys could never be told anything.
    const known = new Promise<void>((resolve) => void this.#keepKeys(resolve));
    const [serving] = await Promise.all([this.#keeper.start(), known]);
    if (!serving || this.#stop.signal.aborted) return { webhookPort: 0, adminPort };
    this.#metrics.certificateEnds(endOf(serving.certificate));
    const webhooks = admissionWebhooks(this.#options, image, api, this.#keys, this.#parts.clock);
    this.#server = new AdmissionServer(admissionApp(webhooks, this.#metrics, this.#parts.log));
    const webhookPort = await this.#server.listen(this.#options.webhookPort, host, serving);
    this.#serves = true;
    this.#election.start();
    return { webhookPort, adminPort };
  }

  /** Gives up the lease, answers what it has and ends. */
  async stop(): Promise<void> {
    const served = this.#serves;
    this.#serves = false;
    this.#stop.abort();
    await Promise.all([
      this.#leadership.change(undefined).then(() => this.#election.stop()),
      this.#keeper.stop(),
      served ? pause(this.#parts.clock, leaveMs) : undefined,
    ]);
    // Giving up the lease is a change too.
    await this.#leadership.change(undefined);
    await this.#server?.close();
    this.#admin?.close();
    this.#admin?.closeAllConnections();
  }

  #context() {
    const { api, log, clock } = this.#parts;
    const { namespace, identity } = this.#options;
    const election = this.#election;
    const leaseTransitions = election.transitions;
    const leads = () => election.leads && election.transitions === leaseTransitions;
    const [metrics, policyKeys] = [this.#registry, this.#keys];
    return { api, log, clock, metrics, policyKeys, namespace, identity, leaseTransitions, leads };
  }

  /** @param known is called once there are keys, or will not be any more */
  async #keepKeys(known: () => void): Promise<void> {
    const { clock, chance, log } = this.#parts;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      let delayMs = keysPeriodMs;
      try {
        await this.#keys.refresh();
        known();
      } catch (error) {
        delayMs = keysRetryMs;
        log.warn({ code: 'PL_POLICY_KEYS', detail: String(error) }, 'the signing keys could not be read or made');
      }
      await pause(clock, jittered(delayMs, 0.1, chance), signal);
    }
    known();
  }

  async #serveAdmin(): Promise<number> {
    const app: Express = express();
    app.disable('x-powered-by');
    app.get('/metrics', async (_request, response) => {
      response.type(this.#registry.contentType).send(await this.#registry.metrics());
    });
    app.get('/healthz', (_request, response) => {
      response.type('text').send('ok\n');
    });
    app.get('/readyz', (_request, response) => {
      response.status(this.#serves ? 200 : 503);
      response.type('text').send(this.#serves ? 'ready\n' : 'the webhooks are not served\n');
    });
    const server = createServer(app);
    this.#admin = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#options.adminPort, this.#options.host, resolve);
    });
    return (server.address() as AddressInfo).port;
  }
}

function noImage(error: unknown): never {
  throw new Error(
    `which image pods are given is not known: ${error instanceof Error ? error.message : error} (setting PACELINE_IMAGE)`,
  );
}
