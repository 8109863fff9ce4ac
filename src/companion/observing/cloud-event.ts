import type { IncomingMessage } from 'node:http';
import type { CompanionOptions } from '../../policy/companion-options.ts';
import { requestIdOf } from './request-id.ts';

/** Which of the two payloads of a request an event holds. */
export type Payload = 'request' | 'response';

/** What all events of one request have in common. */
export interface EventOrigin {
  readonly id: string;
  readonly contentType: string | undefined;
  /** The allowed headers of the request, as JSON. */
  readonly metadata: string;
}

/** An event on its way: HTTP headers, a flat list, and the payload, byte for byte. */
export interface CloudEvent {
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/**
 * Makes CloudEvents as KServe's agent does (pkg/logger, v0.17): HTTP in binary mode, with its types, its extensions and its
 * names of headers. Where the caller gave no `ce-id`, the id is that of the request. Both events of a request bear the
 * *request's* content type, as KServe's do. `ce-recordedtime`, when the event was made, is that of later versions.
 */
export class EventWriter {
  readonly #headerNames: ReadonlySet<string>;
  /** Headers that all events have, in the order in which Go writes them, around those that differ. */
  readonly #beforeId: readonly string[];
  readonly #beforeMetadata: readonly string[];
  readonly #beforeTimes: readonly string[];
  readonly #afterRecorded: readonly string[];

  constructor(options: CompanionOptions) {
    this.#headerNames = new Set(options.logHeaders);
    const [namespace = '', name = ''] = options.isvc.split('/');
    const annotations =
      Object.keys(options.logAnnotations).length > 0 ? goJson(sorted(options.logAnnotations)) : undefined;
    this.#beforeId = [
      ...(annotations === undefined ? [] : ['Ce-Annotations', onWire(annotations)]),
      ...['Ce-Component', onWire(options.logComponent), 'Ce-Endpoint', onWire(options.logEndpoint)],
    ];
    this.#beforeMetadata = ['Ce-Inferenceservicename', onWire(name)];
    this.#beforeTimes = ['Ce-Namespace', onWire(namespace)];
    this.#afterRecorded = ['Ce-Source', onWire(options.logSource), 'Ce-Specversion', '1.0'];
  }

  origin(request: IncomingMessage): EventOrigin {
    const given = request.headers['ce-id'];
    return {
      id: typeof given === 'string' && given !== '' ? given : requestIdOf(request),
      contentType: request.headers['content-type'],
      metadata: this.#metadata(request.rawHeaders),
    };
  }

  /** @param at when the request came, or the reply was complete; ms since 1970. */
  event(origin: EventOrigin, payload: Payload, at: number, body: Buffer): CloudEvent {
    const headers = [
      ...[...this.#beforeId, 'Ce-Id', origin.id, ...this.#beforeMetadata, 'Ce-Metadata', origin.metadata],
      ...[...this.#beforeTimes, 'Ce-Recordedtime', timeText(Date.now()), ...this.#afterRecorded],
      ...['Ce-Time', timeText(at), 'Ce-Type', types[payload]],
    ];
    if (origin.contentType) headers.push('Content-Type', origin.contentType);
    return { headers, body };
  }

  /** Names as Go writes them, in its order; a name that comes twice has two values. */
  #metadata(raw: readonly string[]): string {
    if (this.#headerNames.size === 0) return '{}';
    const found: Record<string, string[]> = {};
    for (let i = 0; i < raw.length; i += 2) {
      const name = (raw[i] as string).toLowerCase();
      if (!this.#headerNames.has(name)) continue;
      const value = Buffer.from(raw[i + 1] as string, 'latin1').toString('utf8');
      found[canonical(name)] = [...(found[canonical(name)] ?? []), value];
    }
    return onWire(goJson(sorted(found)));
  }
}

const types: Record<Payload, string> = {
  request: 'org.kubeflow.serving.inference.request',
  response: 'org.kubeflow.serving.inference.response',
};

/** RFC 3339 without zeros at the end of the fraction, as Go writes it. */
function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.?0+Z$/, 'Z');
}

function sorted<T>(object: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(object).sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** JSON as Go's encoder writes it: what HTML would read is escaped. */
function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Text as the bytes of UTF-8, one character each, without what no header may hold. */
function onWire(text: string): string {
  return Buffer.from(text, 'utf8')
    .toString('latin1')
    .replace(/[^\t\x20-\x7e\x80-\xff]/g, ' ');
}

/** `x-user-id` as `X-User-Id`. */
function canonical(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase());
}
