import type { KubeObject, ObjectName, ResourceKind } from './objects.ts';

/** Which objects of a kind. Selectors are in the API's own syntax. */
export interface Selection {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface Page {
  readonly items: readonly KubeObject[];
  readonly resourceVersion: string;
  /** Where the next page begins; absent on the last one. */
  readonly next?: string | undefined;
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: KubeObject;
}

export interface WriteOptions {
  /** Takes over fields of other managers instead of failing with a conflict. Default false. */
  readonly force?: boolean;
  /** `status` writes the status alone. */
  readonly subresource?: 'status';
}

/**
 * What we ask of the Kubernetes API. Every method throws a `KubeError`. All writes carry the field manager `paceline`.
 */
export interface KubeApi {
  get(kind: ResourceKind, name: ObjectName): Promise<KubeObject>;
  /** One page of at most `limit` objects. Pages of one list share its resourceVersion. */
  list(kind: ResourceKind, selection: Selection, limit: number, next?: string): Promise<Page>;
  /**
   * Changes after a version, until the server ends it, the connection is lost (throws) or the signal aborts (ends).
   *
   * @throws {KubeError} 410 where that version is too old.
   */
  watch(kind: ResourceKind, selection: Selection, after: string, signal: AbortSignal): AsyncIterable<WatchEvent>;
  create(kind: ResourceKind, object: KubeObject): Promise<KubeObject>;
  /** Replaces an object; with a resourceVersion in it, only if nobody wrote since. */
  replace(kind: ResourceKind, object: KubeObject, options?: WriteOptions): Promise<KubeObject>;
  /** Server-side apply: the object holds exactly the fields that we want to own. */
  apply(kind: ResourceKind, object: KubeObject, options?: WriteOptions): Promise<KubeObject>;
  /** JSON merge patch: null deletes. With `metadata.resourceVersion` in it, only if nobody wrote since. */
  mergePatch(kind: ResourceKind, name: ObjectName, patch: object, options?: WriteOptions): Promise<KubeObject>;
  /**
   * Sets `spec.replicas` by the scale subresource, and says which version of the object that made. The field manager may
   * be another than ours: the API server keeps its name on the object for as long as nobody else changes the replicas.
   */
  scale(kind: ResourceKind, name: ObjectName, replicas: number, manager?: string): Promise<string>;
  /** Succeeds too where there is nothing. */
  delete(kind: ResourceKind, name: ObjectName): Promise<void>;
}
