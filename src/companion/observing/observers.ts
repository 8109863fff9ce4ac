import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CompanionOptions } from '../../policy/companion-options.ts';
import type { CompanionMetrics } from '../../telemetry/companion-metrics.ts';
import { type LineResult, type LineWriter, standardLines } from '../../telemetry/line-writer.ts';
import { type Log, RareWarnings } from '../../telemetry/log.ts';
import { SpanExport } from '../../telemetry/span-export.ts';
import type { Guard } from '../guard.ts';
import { AccessLog } from './access-log.ts';
import { type AccountReader, Accounts } from './account.ts';
import { PayloadLog } from './payload-log.ts';
import { Recorder } from './recorder.ts';
import { keepOrMakeId } from './request-id.ts';
import { RequestLog, revisionOf } from './request-log.ts';
import { Tracing } from './tracing.ts';

/** Everybody who is told of requests, as far as options ask for them. Without any, a request gets its id and no more. */
export class Observers {
  readonly tracing: Tracing | undefined;
  readonly #payloads: PayloadLog | undefined;
  readonly #spans: SpanExport | undefined;
  readonly #recorder: Recorder | undefined;
  readonly #lines: LineWriter | undefined;
  readonly #accounts: Accounts | undefined;

  constructor(options: CompanionOptions, log: Log, metrics: () => CompanionMetrics, guard: Guard) {
    const { logUrl, traceEndpoint, accessLog, isvc } = options;
    const readers: AccountReader[] = [];
    if (logUrl)
      this.#payloads = new PayloadLog(logUrl, options, log, guard, (result) => metrics().payloadEvents.add(1, result));
    if (traceEndpoint) {
      const [namespace = '', service = ''] = isvc.split('/');
      const sender = import('../../telemetry/otlp-sender.ts').then(({ otlpSender }) =>
        otlpSender(traceEndpoint, { service, namespace }),
      );
      const spans = new SpanExport(sender, log, (result, count) => metrics().spans.add(count, result));
      this.#spans = spans;
      this.tracing = new Tracing(options.traceShare, (span) => spans.add(span));
      readers.push(this.tracing);
    }
    if (accessLog >= 0) {
      readers.push(new AccessLog(log, { share: accessLog, perSecond: options.accessLogRate }));
    }
    if (options.requestLog) {
      const revision = revisionOf(isvc, options.revision, process.env);
      this.#lines = standardOutput(log, (result, count) => metrics().requestLogLines.add(count, result));
      readers.push(new RequestLog(options.requestLogTemplate, revision, this.#lines));
    }
    if (options.record !== '') {
      this.#recorder = new Recorder(options, log, (result, count) => metrics().records.add(count, result));
      readers.push(this.#recorder);
    }
    if (readers.length > 0) this.#accounts = new Accounts(readers, guard);
  }

  /** Payloads that wait for their sink. */
  get payloadEvents(): number {
    return this.#payloads?.events ?? 0;
  }

  get payloadBytes(): number {
    return this.#payloads?.bytes ?? 0;
  }

  /** Before anything is done with a request. */
  follow(request: IncomingMessage, response: ServerResponse, receivedAt: number): void {
    keepOrMakeId(request);
    this.#accounts?.open(request, response, receivedAt);
    this.#payloads?.follow(request, response);
  }

  /** Sends on what is held, until `until` on the clock of `performance.now()`. */
  async drain(until: number): Promise<void> {
    await Promise.all([this.#payloads?.drain(until), this.#spans?.drain(until), this.#recorder?.close()]);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#payloads?.stop(), this.#spans?.stop(), this.#recorder?.close(), this.#lines?.close()]);
  }
}

function standardOutput(log: Log, onEnd: (result: LineResult, lines: number) => void): LineWriter {
  const warnings = new RareWarnings(log);
  const failed = (error: Error) =>
    warnings.warn(
      'request-log',
      { detail: String(error) },
      'lines of the request log are lost: standard output cannot be written. Requests are served all the same',
    );
  return standardLines(1, onEnd, failed);
}
