import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import express, { type ErrorRequestHandler, type Express } from 'express';
import type { Log } from '../../telemetry/log.ts';
import type { AdmissionMetrics } from './metrics.ts';
import { type AdmissionRequest, readReview, reviewAnswer, type Verdict } from './review.ts';

/** One webhook: its path and what answers there. */
export interface Webhook {
  readonly path: string;
  readonly name: string;
  review(request: AdmissionRequest): Verdict | Promise<Verdict>;
}

/** A serving certificate with its key, as PEM. */
export interface ServingCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** An update holds two objects of at most 1.5 MB each, and JSON may be longer than what etcd stores. */
const bodyBytesMax = '8mb';
/** The API server waits 3 s: better an answer without a change than none. */
const answerMs = 2_200;

/** What of a webhook fails is told to the user and to the log, and lets the object through unchanged. */
const failedOpen: Verdict = {
  outcome: 'failed',
  warnings: ['PL_ADMISSION_FAILED: Paceline could not look at this object and left it as it is; its log says why'],
};

/** The routes of all webhooks. */
export function admissionApp(webhooks: readonly Webhook[], metrics: AdmissionMetrics, log: Log): Express {
  const app = express();
  app.disable('x-powered-by');
  for (const webhook of webhooks) {
    app.post(webhook.path, express.json({ limit: bodyBytesMax }), async (request, response) => {
      const review = readReview(request.body);
      const done = metrics.begin(webhook.name);
      const verdict = await inTime(webhook, review, log);
      response.json(reviewAnswer(review, verdict));
      done(verdict.outcome);
    });
  }
  app.use((_request, response) => {
    response.status(404).json({ error: 'no webhook is served here', code: 'PL_ADMISSION_PATH' });
  });
  const refused: ErrorRequestHandler = (error, _request, response, _next) => {
    const status = typeof error?.status === 'number' ? error.status : 400;
    response
      .status(status)
      .json({ error: 'this is no AdmissionReview of admission.k8s.io/v1', code: 'PL_ADMISSION_BODY' });
  };
  app.use(refused);
  return app;
}

async function inTime(webhook: Webhook, review: AdmissionRequest, log: Log): Promise<Verdict> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no verdict within ${answerMs} ms`)), answerMs);
  });
  try {
    return await Promise.race([Promise.resolve().then(() => webhook.review(review)), tooLate]);
  } catch (error) {
    const { namespace, name } = review;
    log.error(
      { code: 'PL_ADMISSION_FAILED', webhook: webhook.name, namespace, name, detail: String(error) },
      'a webhook failed: the object was let through as it is',
    );
    return failedOpen;
  } finally {
    clearTimeout(timer);
  }
}

/** The TLS server of the webhooks. Its certificate can be replaced while it runs. */
export class AdmissionServer {
  readonly #app: Express;
  #server: Server | undefined;

  constructor(app: Express) {
    this.#app = app;
  }

  /** @throws when the port is taken. Returns the port in use. */
  listen(port: number, host: string, serving: ServingCertificate): Promise<number> {
    const options = { ...contextOf(serving), requestTimeout: 10_000, keepAliveTimeout: 75_000 };
    const server = createServer(options, this.#app);
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
    });
  }

  /** New connections get this certificate; those that are open keep theirs. */
  present(serving: ServingCertificate): void {
    this.#server?.setSecureContext(contextOf(serving));
  }

  /** Takes no more connections and answers what it has. */
  async close(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeIdleConnections();
    });
  }
}

function contextOf({ certificate, key }: ServingCertificate) {
  return { cert: certificate, key, minVersion: 'TLSv1.2' as const };
}
