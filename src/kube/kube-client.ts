import type { IncomingMessage } from 'node:http';
import { type Connection, connect, type KubeRequest } from './connection.ts';
import type { KubeApi, Page, Selection, WatchEvent, WriteOptions } from './kube-api.ts';
import { isNotFound, KubeError } from './kube-error.ts';
import { apiVersionOf, type KubeObject, type ObjectName, type ResourceKind } from './objects.ts';

export const fieldManager = 'paceline';
const answerBytesMax = 128 * 1024 * 1024;
const eventBytesMax = 8 * 1024 * 1024;
const requestSilenceMs = 30_000;
/** The server sends a bookmark about once a minute: two and a half minutes without a byte is a dead connection. */
const watchSilenceMs = 150_000;
/** The server ends a watch after this long; it begins again from the last version without a gap. */
const watchSeconds = 600;

/** The Kubernetes API over HTTP. */
export class KubeClient implements KubeApi {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** By the kubeconfig in this file, by KUBECONFIG, or by the service account of the pod we run in. */
  static load(file?: string): KubeClient {
    return new KubeClient(connect(file));
  }

  get(kind: ResourceKind, name: ObjectName): Promise<KubeObject> {
    return this.#object({ method: 'GET', path: pathOf(kind, name.namespace, name.name) });
  }

  async list(kind: ResourceKind, selection: Selection, limit: number, next?: string): Promise<Page> {
    const query = { ...selectors(selection), limit: String(limit), ...(next === undefined ? {} : { continue: next }) };
    const answer = await this.#json({ method: 'GET', path: pathOf(kind, selection.namespace) + queryOf(query) });
    const { items, metadata } = answer as {
      items?: KubeObject[];
      metadata?: { resourceVersion?: string; continue?: string };
    };
    if (!Array.isArray(items) || typeof metadata?.resourceVersion !== 'string') {
      throw new KubeError(0, 'BadAnswer', `the list of ${kind.plural} is not one`);
    }
    return { items, resourceVersion: metadata.resourceVersion, next: metadata.continue || undefined };
  }

  async *watch(
    kind: ResourceKind,
    selection: Selection,
    after: string,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent> {
    const query = {
      ...selectors(selection),
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: after,
      timeoutSeconds: String(watchSeconds),
    };
    const path = pathOf(kind, selection.namespace) + queryOf(query);
    try {
      const answer = await this.#send({ method: 'GET', path, signal, silenceMs: watchSilenceMs });
      for await (const line of linesOf(answer)) {
        const event = JSON.parse(line) as { type?: string; object?: KubeObject };
        if (event.type === 'ERROR') throw errorOf(Number(event.object?.code) || 0, event.object);
        if (event.object?.metadata) yield event as WatchEvent;
      }
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof KubeError
        ? error
        : new KubeError(0, 'WatchLost', `watch of ${kind.plural}: ${messageOf(error)}`);
    }
  }

  create(kind: ResourceKind, object: KubeObject): Promise<KubeObject> {
    const path = pathOf(kind, object.metadata.namespace) + queryOf({ fieldManager });
    return this.#object({ method: 'POST', path, body: JSON.stringify(typed(kind, object)) });
  }

  replace(kind: ResourceKind, object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    const { namespace, name } = object.metadata;
    const path = pathOf(kind, namespace, name, options.subresource) + queryOf({ fieldManager });
    return this.#object({ method: 'PUT', path, body: JSON.stringify(typed(kind, object)) });
  }

  apply(kind: ResourceKind, object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    const { namespace, name } = object.metadata;
    const query = { fieldManager, ...(options.force ? { force: 'true' } : {}) };
    return this.#object({
      method: 'PATCH',
      path: pathOf(kind, namespace, name, options.subresource) + queryOf(query),
      contentType: 'application/apply-patch+yaml',
      body: JSON.stringify(typed(kind, object)),
    });
  }

  mergePatch(kind: ResourceKind, name: ObjectName, patch: object, options: WriteOptions = {}): Promise<KubeObject> {
    return this.#object({
      method: 'PATCH',
      path: pathOf(kind, name.namespace, name.name, options.subresource) + queryOf({ fieldManager }),
      contentType: 'application/merge-patch+json',
      body: JSON.stringify(patch),
    });
  }

  async scale(kind: ResourceKind, name: ObjectName, replicas: number, manager = fieldManager): Promise<string> {
    const { metadata } = await this.#object({
      method: 'PATCH',
      path: pathOf(kind, name.namespace, name.name, 'scale') + queryOf({ fieldManager: manager }),
      contentType: 'application/merge-patch+json',
      body: JSON.stringify({ spec: { replicas } }),
    });
    return metadata.resourceVersion ?? '';
  }

  async delete(kind: ResourceKind, name: ObjectName): Promise<void> {
    try {
      await this.#json({ method: 'DELETE', path: pathOf(kind, name.namespace, name.name) });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  close(): void {
    this.#connection.close();
  }

  async #object(request: Omit<KubeRequest, 'silenceMs'>): Promise<KubeObject> {
    const answer = (await this.#json(request)) as KubeObject | null;
    if (typeof answer?.metadata?.name !== 'string') throw new KubeError(0, 'BadAnswer', `${request.path} is no object`);
    return answer;
  }

  async #json(request: Omit<KubeRequest, 'silenceMs'>): Promise<unknown> {
    const answer = await this.#send({ silenceMs: requestSilenceMs, ...request });
    try {
      return JSON.parse(await textOf(answer));
    } catch (error) {
      throw error instanceof KubeError ? error : new KubeError(0, 'BadAnswer', `${request.path}: ${messageOf(error)}`);
    }
  }

  async #send(request: KubeRequest): Promise<IncomingMessage> {
    const answer = await this.#connection.send(request);
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    let body: unknown;
    try {
      body = JSON.parse(await textOf(answer));
    } catch {
      // A proxy in between answers with something else: the status says enough.
    }
    throw errorOf(status, body, answer.headers['retry-after']);
  }
}

function errorOf(status: number, body: unknown, retryAfter?: string): KubeError {
  const { reason, message, details } = (body ?? {}) as { reason?: unknown; message?: unknown; details?: unknown };
  const { causes } = (details ?? {}) as { causes?: unknown };
  // The one refusal whose own reason, Forbidden, says less than its cause.
  const ending = Array.isArray(causes) && causes.some((cause) => cause?.reason === 'NamespaceTerminating');
  const seconds = Number(retryAfter);
  return new KubeError(
    status,
    ending ? 'NamespaceTerminating' : typeof reason === 'string' ? reason : 'Unknown',
    typeof message === 'string' ? message : `the Kubernetes API answered ${status}`,
    Number.isFinite(seconds) ? seconds * 1000 : undefined,
  );
}

function typed(kind: ResourceKind, object: KubeObject): KubeObject {
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, ...object };
}

function pathOf(kind: ResourceKind, namespace?: string, name?: string, subresource?: string): string {
  const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const place = kind.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const item = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${root}${place}/${kind.plural}${item}${subresource === undefined ? '' : `/${subresource}`}`;
}

function selectors({ labelSelector, fieldSelector }: Selection): Record<string, string> {
  return { ...(labelSelector ? { labelSelector } : {}), ...(fieldSelector ? { fieldSelector } : {}) };
}

function queryOf(query: Record<string, string>): string {
  return `?${new URLSearchParams(query)}`;
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > answerBytesMax) throw new KubeError(0, 'TooLarge', `an answer of more than ${answerBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function* linesOf(answer: IncomingMessage): AsyncGenerator<string> {
  let pending: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      pending.push(chunk.subarray(from, end));
      yield Buffer.concat(pending).toString('utf8');
      pending = [];
      bytes = 0;
      from = end + 1;
    }
    bytes += chunk.length - from;
    if (bytes > eventBytesMax) throw new KubeError(0, 'TooLarge', `an event of more than ${eventBytesMax} bytes`);
    if (from < chunk.length) pending.push(chunk.subarray(from));
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
