import { hostname } from 'node:os';
import { type HrTime, type SpanContext, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import manifest from '../../package.json' with { type: 'json' };
import type { Span, SpanSender } from './span-export.ts';
import type { TraceContext } from './trace-context.ts';

/** How long a collector may take, tries of the exporter included. */
const timeoutMs = 10_000;
const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL };

/** Whose spans they are. */
export interface SpanSource {
  readonly service: string;
  readonly namespace: string;
}

/**
 * Sends spans by OTLP over HTTP, as JSON, with OpenTelemetry's own exporter. This file is loaded only where spans are
 * exported: a companion's start and memory are the same without it.
 *
 * @param url of a collector; without a path, `/v1/traces` is meant.
 */
export function otlpSender(url: URL, source: SpanSource): SpanSender {
  const target = new URL(url);
  if (target.pathname === '/') target.pathname = '/v1/traces';
  const exporter = new OTLPTraceExporter({ url: target.href, timeoutMillis: timeoutMs, concurrencyLimit: 1 });
  const resource = resourceFromAttributes({
    'service.name': source.service || 'paceline',
    ...(source.namespace === '' ? {} : { 'service.namespace': source.namespace }),
    'service.instance.id': hostname(),
  });
  return {
    send: (spans) =>
      new Promise((resolve, reject) => {
        exporter.export(
          spans.map((span) => readable(span, resource)),
          ({ code, error }) => (code === 0 ? resolve() : reject(error ?? new Error('the collector did not take them'))),
        );
      }),
    stop: () => exporter.shutdown(),
  };
}

function readable(span: Span, resource: Resource): ReadableSpan {
  const { context, parentSpanId, links = [], linksLeftOut = 0, failed } = span;
  return {
    name: span.name,
    kind: kinds[span.kind],
    spanContext: () => contextOf(context),
    ...(parentSpanId === undefined ? {} : { parentSpanContext: contextOf({ ...context, spanId: parentSpanId }) }),
    startTime: timeOf(span.startMs),
    endTime: timeOf(span.endMs),
    duration: timeOf(span.endMs - span.startMs),
    status: failed === undefined ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: failed },
    attributes: { ...span.attributes },
    links: links.map((link) => ({ context: contextOf(link), attributes: {} })),
    events: [],
    ended: true,
    resource,
    instrumentationScope: { name: 'paceline', version: manifest.version },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: linksLeftOut,
  };
}

function contextOf({ traceId, spanId, sampled }: TraceContext): SpanContext {
  return { traceId, spanId, traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE };
}

/** Seconds and nanoseconds. */
function timeOf(ms: number): HrTime {
  const seconds = Math.trunc(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
