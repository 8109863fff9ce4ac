import type { KubeApi, Page, Selection, WatchEvent, WriteOptions } from './kube-api.ts';
import { KubeError } from './kube-error.ts';
import type { KubeObject, ObjectName, ResourceKind } from './objects.ts';

/** The API of a leader: every write asks first whether it still leads, so that none can forget to. */
export class FencedApi implements KubeApi {
  readonly #api: KubeApi;
  readonly #leads: () => boolean;

  constructor(api: KubeApi, leads: () => boolean) {
    this.#api = api;
    this.#leads = leads;
  }

  get(kind: ResourceKind, name: ObjectName): Promise<KubeObject> {
    return this.#api.get(kind, name);
  }

  list(kind: ResourceKind, selection: Selection, limit: number, next?: string): Promise<Page> {
    return this.#api.list(kind, selection, limit, next);
  }

  watch(kind: ResourceKind, selection: Selection, after: string, signal: AbortSignal): AsyncIterable<WatchEvent> {
    return this.#api.watch(kind, selection, after, signal);
  }

  async create(kind: ResourceKind, object: KubeObject): Promise<KubeObject> {
    this.#check();
    return await this.#api.create(kind, object);
  }

  async replace(kind: ResourceKind, object: KubeObject, options?: WriteOptions): Promise<KubeObject> {
    this.#check();
    return await this.#api.replace(kind, object, options);
  }

  async apply(kind: ResourceKind, object: KubeObject, options?: WriteOptions): Promise<KubeObject> {
    this.#check();
    return await this.#api.apply(kind, object, options);
  }

  async mergePatch(kind: ResourceKind, name: ObjectName, patch: object, options?: WriteOptions): Promise<KubeObject> {
    this.#check();
    return await this.#api.mergePatch(kind, name, patch, options);
  }

  async scale(kind: ResourceKind, name: ObjectName, replicas: number, manager?: string): Promise<string> {
    this.#check();
    return await this.#api.scale(kind, name, replicas, manager);
  }

  async delete(kind: ResourceKind, name: ObjectName): Promise<void> {
    this.#check();
    await this.#api.delete(kind, name);
  }

  #check(): void {
    if (!this.#leads()) throw new KubeError(0, 'NotLeader', 'this replica leads no more: nothing is written');
  }
}
