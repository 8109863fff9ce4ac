import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A span as OTLP's JSON has it. */
export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Record<string, unknown>;
  readonly links: { readonly traceId: string; readonly spanId: string }[];
  readonly status: { readonly code?: number };
  readonly resource: Record<string, unknown>;
}

interface Attribute {
  readonly key: string;
  readonly value: Record<string, unknown>;
}

interface Body {
  readonly resourceSpans: {
    readonly resource: { readonly attributes: Attribute[] };
    readonly scopeSpans: {
      readonly spans: (Omit<CollectedSpan, 'attributes' | 'resource'> & { attributes: Attribute[] })[];
    }[];
  }[];
}

/** A collector of OpenTelemetry that keeps what it is sent by OTLP over HTTP. */
export class CollectorDouble {
  readonly spans: CollectedSpan[] = [];
  readonly paths = new Set<string>();
  readonly #server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      this.paths.add(request.url ?? '');
      for (const { resource, scopeSpans } of (JSON.parse(text) as Body).resourceSpans) {
        for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
          const { attributes, links } = span;
          const own = { links: links ?? [], attributes: plain(attributes), resource: plain(resource.attributes) };
          this.spans.push({ ...span, ...own });
        }
      }
      response.setHeader('content-type', 'application/json');
      response.end('{}');
    });
  });

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  named(name: string): CollectedSpan[] {
    return this.spans.filter((span) => span.name === name);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function plain(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
