import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { CompanionOptions } from '../../policy/companion-options.ts';
import type { Log } from '../../telemetry/log.ts';
import { type Dispatcher, Pool } from '../upstream/http-client.ts';
import { failureOf } from '../upstream/upstream.ts';
import type { CloudEvent } from './cloud-event.ts';
import type { Deliver, EventResult } from './event-queue.ts';

/** What a sink may take to accept a connection, and to answer. */
const connectTimeoutMs = 2000;
const answerTimeoutMs = 10_000;

/** The HTTP sink of events. Connections are kept, as many as there are workers. */
export class EventSink {
  readonly #pool: Pool;
  readonly #path: string;
  readonly #authorization: readonly string[];
  readonly #answerTimeoutMs: number;

  constructor(url: URL, options: CompanionOptions, log: Log, timeoutMs = answerTimeoutMs) {
    this.#answerTimeoutMs = timeoutMs;
    this.#path = url.pathname + url.search;
    const secret = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    this.#authorization =
      url.username === '' ? [] : ['Authorization', `Basic ${Buffer.from(secret).toString('base64')}`];
    const ca = url.protocol === 'https:' ? certificatesIn(options.logCaFile, log) : undefined;
    this.#pool = new Pool(url.origin, {
      connections: options.logWorkers,
      pipelining: 1,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      connect: {
        timeout: connectTimeoutMs,
        rejectUnauthorized: !options.logTlsSkipVerify,
        ...(ca === undefined ? {} : { ca }),
      },
    });
  }

  /** Sends an event. A refusal of what was sent is final; everything else may pass. */
  readonly deliver: Deliver = ({ headers, body }: CloudEvent) =>
    new Promise((resolve) => {
      let status = 0;
      let controller: Dispatcher.DispatchController | undefined;
      const end = (result: EventResult, again: boolean) => {
        clearTimeout(timer);
        resolve({ result, again });
      };
      // The pool's own timers do not count the time in which nothing is read.
      const timer = setTimeout(() => {
        end('timeout', false);
        controller?.abort(new Error('the sink does not answer'));
      }, connectTimeoutMs + this.#answerTimeoutMs);
      const options = {
        path: this.#path,
        method: 'POST' as const,
        headers: [...headers, ...this.#authorization],
        body,
      };
      try {
        this.#pool.dispatch(options, {
          onRequestStart: (own) => {
            controller = own;
          },
          onResponseStart: (_own, code) => {
            status = code;
          },
          onResponseData: () => {},
          onResponseEnd: () => end(...verdictOn(status)),
          onResponseError: (_own, error) => {
            const failure = failureOf(error);
            if (failure === 'unreachable') end('unreachable', true);
            else if (failure === 'timeout') end('timeout', false);
            else if (failure === 'invalid') end('refused', false);
            else if (isAboutCertificates(error)) end('untrusted', false);
            else end('reset', true);
          },
        });
      } catch {
        end('refused', false);
      }
    });

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

function verdictOn(status: number): [EventResult, boolean] {
  if (status >= 200 && status < 300) return ['sent', false];
  return ['refused', status >= 500 || status === 429 || status === 408];
}

function isAboutCertificates(error: Error): boolean {
  return /CERT|SIGNATURE|ISSUER|ALTNAME/.test((error as NodeJS.ErrnoException).code ?? '');
}

/** As KServe's agent: where there is no such file, those of the system are used, and it is said. */
function certificatesIn(file: string, log: Log): Buffer | undefined {
  if (file === '') return undefined;
  try {
    const pem = readFileSync(file);
    new X509Certificate(pem);
    return pem;
  } catch (error) {
    log.warn(
      { code: 'PL_LOG_SINK', file, detail: String(error) },
      'no certificates can be read from the file that payloads are to be logged with: the sink is checked by those of the system',
    );
    return undefined;
  }
}
