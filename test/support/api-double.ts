import type { KubeApi, Page, Selection, WatchEvent, WriteOptions } from '../../src/kube/kube-api.ts';
import { KubeError } from '../../src/kube/kube-error.ts';
import { apiVersionOf, type KubeObject, keyOf, type ObjectName, type ResourceKind } from '../../src/kube/objects.ts';

type Json = Record<string, unknown>;
type Watcher = {
  readonly kind: string;
  readonly selection: Selection;
  readonly queue: WatchEvent[];
  wake: () => void;
  end?: Error | 'closed';
};

/** A write as it arrived: what tests count and look at. */
export interface Write {
  readonly verb: 'create' | 'replace' | 'apply' | 'mergePatch' | 'scale' | 'delete';
  readonly kind: string;
  readonly key: string;
  readonly subresource: string | undefined;
  readonly body: unknown;
}

/**
 * The API server in memory, as far as the controller leans on it: versions, optimistic locks, pages, watches that can be
 * lost, history that can be compacted, merge patches, and of server-side apply which manager owns which leaf of
 * annotations, labels, spec and status (maps only, no merging of lists).
 */
export class ApiDouble implements KubeApi {
  readonly writes: Write[] = [];
  /** Called before each request: what it throws is the answer; what it awaits delays it. */
  before: ((verb: string, kind: ResourceKind, key: string) => void | Promise<void>) | undefined;
  /** Called after a write took effect and before it is answered: what it throws is a lost answer. */
  after: ((verb: string, kind: ResourceKind, key: string) => void) | undefined;
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  /** By object and leaf: who applied it last. */
  readonly #owners = new Map<string, Map<string, string>>();
  readonly #watchers = new Set<Watcher>();
  #history: { readonly version: number; readonly kind: string; readonly event: WatchEvent }[] = [];
  #version = 100;
  #compacted = 0;
  #uid = 0;

  async get(kind: ResourceKind, name: ObjectName): Promise<KubeObject> {
    await this.before?.('get', kind, keyOf(name));
    return structuredClone(this.#need(kind, name));
  }

  async list(kind: ResourceKind, selection: Selection, limit: number, next?: string): Promise<Page> {
    await this.before?.('list', kind, '');
    const [version, from] = next ? (next.split(':').map(Number) as [number, number]) : [this.#version, 0];
    if (version < this.#compacted) throw new KubeError(410, 'Expired', 'the list is too old');
    const all = [...this.#of(kind).entries()]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([, object]) => object)
      .filter((object) => selects(selection, object));
    const items = all.slice(from, from + limit).map((object) => structuredClone(object));
    const end = from + limit;
    return {
      items,
      resourceVersion: String(version),
      ...(end < all.length ? { next: `${version}:${end}` } : {}),
    };
  }

  async *watch(
    kind: ResourceKind,
    selection: Selection,
    after: string,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent> {
    await this.before?.('watch', kind, '');
    if (Number(after) < this.#compacted) throw new KubeError(410, 'Expired', 'too old resource version');
    const watcher: Watcher = { kind: idOf(kind), selection, queue: [], wake: () => {} };
    for (const past of this.#history) {
      if (past.version > Number(after) && past.kind === watcher.kind) offer(watcher, past.event);
    }
    this.#watchers.add(watcher);
    const abort = () => {
      watcher.end = 'closed';
      watcher.wake();
    };
    signal.addEventListener('abort', abort);
    try {
      for (;;) {
        const event = watcher.queue.shift();
        if (event) yield event;
        else if (watcher.end === 'closed' || signal.aborted) return;
        else if (watcher.end) throw watcher.end;
        else await new Promise<void>((resolve) => (watcher.wake = resolve));
      }
    } finally {
      signal.removeEventListener('abort', abort);
      this.#watchers.delete(watcher);
    }
  }

  async create(kind: ResourceKind, object: KubeObject): Promise<KubeObject> {
    const key = keyOf(object.metadata);
    await this.before?.('create', kind, key);
    if (this.#of(kind).has(key)) throw new KubeError(409, 'AlreadyExists', `${key} is there already`);
    this.#note('create', kind, key, undefined, object);
    return this.#store('create', kind, 'ADDED', this.#born(kind, object));
  }

  #born(kind: ResourceKind, object: KubeObject): KubeObject {
    const uid = object.metadata.uid ?? `uid-${++this.#uid}`;
    const creationTimestamp = object.metadata.creationTimestamp ?? '2026-01-01T00:00:00Z';
    const metadata = { ...object.metadata, uid, creationTimestamp, generation: 1 };
    const type = { apiVersion: apiVersionOf(kind), kind: kind.kind };
    return { ...type, ...structuredClone(object), metadata };
  }

  async replace(kind: ResourceKind, object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    const key = keyOf(object.metadata);
    await this.before?.('replace', kind, key);
    const old = this.#need(kind, object.metadata);
    locked(old, object.metadata.resourceVersion);
    this.#note('replace', kind, key, options.subresource, object);
    const { status: _, ...rest } = structuredClone(object);
    const now =
      options.subresource === 'status'
        ? { ...old, status: structuredClone(object.status) }
        : {
            ...rest,
            ...(old.status === undefined ? {} : { status: old.status }),
            metadata: { ...old.metadata, ...rest.metadata },
          };
    return this.#store('replace', kind, 'MODIFIED', now, old);
  }

  async apply(kind: ResourceKind, object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    const key = keyOf(object.metadata);
    await this.before?.('apply', kind, key);
    const old = this.#need(kind, object.metadata);
    locked(old, object.metadata.resourceVersion);
    this.#note('apply', kind, key, options.subresource, object);
    const now = structuredClone(old) as KubeObject & Json;
    const owners = this.#ownersOf(kind, key);
    const { name: _n, namespace: _ns, resourceVersion: _v, ...metadata } = object.metadata;
    const { metadata: _m, apiVersion: _a, kind: _k, ...rest } = object;
    const wanted = new Map(leaves({ metadata, ...rest }));
    const scope = options.subresource ?? 'main';
    for (const [path, value] of wanted) {
      const holder = owners.get(path);
      const there = at(now, path);
      if (holder && !holder.startsWith('paceline') && there !== undefined && !same(there, value) && !options.force) {
        throw new KubeError(409, 'Conflict', `${path} is owned by ${holder}`);
      }
      put(now, path, value);
      owners.set(path, `paceline/${scope}`);
    }
    for (const [path, holder] of [...owners]) {
      if (holder !== `paceline/${scope}` || wanted.has(path)) continue;
      put(now, path, undefined);
      owners.delete(path);
    }
    return this.#store('apply', kind, 'MODIFIED', now, old);
  }

  async mergePatch(
    kind: ResourceKind,
    name: ObjectName,
    patch: object,
    options: WriteOptions = {},
  ): Promise<KubeObject> {
    const key = keyOf(name);
    await this.before?.('mergePatch', kind, key);
    const old = this.#need(kind, name);
    const { metadata = {}, ...rest } = patch as { metadata?: Json } & Json;
    const { resourceVersion, ...others } = metadata;
    locked(old, resourceVersion as string | undefined);
    this.#note('mergePatch', kind, key, options.subresource, patch);
    return this.#store('mergePatch', kind, 'MODIFIED', merged(old, { metadata: others, ...rest }) as KubeObject, old);
  }

  async scale(kind: ResourceKind, name: ObjectName, replicas: number, manager = 'paceline'): Promise<string> {
    const key = keyOf(name);
    await this.before?.('scale', kind, key);
    const old = this.#need(kind, name);
    this.#note('scale', kind, key, 'scale', replicas);
    const now = { ...old, spec: { ...(old.spec as Json), replicas } };
    const stored = this.#store('scale', kind, 'MODIFIED', replicasOf(old, now, manager, 'scale'), old);
    return stored.metadata.resourceVersion as string;
  }

  async delete(kind: ResourceKind, name: ObjectName): Promise<void> {
    const key = keyOf(name);
    await this.before?.('delete', kind, key);
    if (!this.#of(kind).has(key)) return;
    this.#note('delete', kind, key, undefined, undefined);
    this.remove(kind, name);
    this.after?.('delete', kind, key);
  }

  /** Somebody else's write: a merge patch that takes over what it changes. */
  edit(kind: ResourceKind, name: ObjectName, patch: object): void {
    const old = this.#need(kind, name);
    const now = replicasOf(old, merged(old, patch as Json) as KubeObject, 'somebody');
    const owners = this.#ownersOf(kind, keyOf(name));
    for (const path of [...owners.keys()]) if (!same(at(old, path), at(now, path))) owners.delete(path);
    this.#put(kind, 'MODIFIED', now, old);
  }

  /** Somebody else makes an object. */
  seed(kind: ResourceKind, object: KubeObject): void {
    this.#put(kind, 'ADDED', this.#born(kind, object));
  }

  /** Somebody else takes an object away. */
  remove(kind: ResourceKind, name: ObjectName): void {
    const old = this.#of(kind).get(keyOf(name));
    if (!old) return;
    this.#of(kind).delete(keyOf(name));
    this.#owners.delete(`${idOf(kind)} ${keyOf(name)}`);
    this.#publish(kind, 'DELETED', { ...old, metadata: { ...old.metadata, resourceVersion: String(++this.#version) } });
  }

  /** What is there now. */
  peek(kind: ResourceKind, name: ObjectName): KubeObject | undefined {
    return this.#of(kind).get(keyOf(name));
  }

  all(kind: ResourceKind): KubeObject[] {
    return [...this.#of(kind).values()];
  }

  /** Ends all watches: by the server's wish, or by an error on the way. */
  loseWatches(error?: Error): void {
    for (const watcher of this.#watchers) {
      watcher.end = error ?? 'closed';
      watcher.wake();
    }
  }

  /** Forgets all history: watches that begin before now get 410. */
  compact(): void {
    this.#compacted = this.#version;
    this.#history = [];
  }

  bookmark(): void {
    for (const watcher of this.#watchers) {
      watcher.queue.push({
        type: 'BOOKMARK',
        object: { metadata: { name: '', resourceVersion: String(this.#version) } },
      });
      watcher.wake();
    }
  }

  #of(kind: ResourceKind): Map<string, KubeObject> {
    const id = idOf(kind);
    const known = this.#objects.get(id);
    if (known) return known;
    const made = new Map<string, KubeObject>();
    this.#objects.set(id, made);
    return made;
  }

  #need(kind: ResourceKind, name: ObjectName): KubeObject {
    const found = this.#of(kind).get(keyOf(name));
    if (!found) throw new KubeError(404, 'NotFound', `${kind.plural} ${keyOf(name)} is not there`);
    return found;
  }

  #ownersOf(kind: ResourceKind, key: string): Map<string, string> {
    const id = `${idOf(kind)} ${key}`;
    const known = this.#owners.get(id);
    if (known) return known;
    const made = new Map<string, string>();
    this.#owners.set(id, made);
    return made;
  }

  #store(
    verb: Write['verb'],
    kind: ResourceKind,
    type: WatchEvent['type'],
    object: KubeObject,
    old?: KubeObject,
  ): KubeObject {
    const stored = this.#put(kind, type, object, old);
    this.after?.(verb, kind, keyOf(object.metadata));
    return structuredClone(stored);
  }

  #put(kind: ResourceKind, type: WatchEvent['type'], object: KubeObject, old?: KubeObject): KubeObject {
    // A write that changes nothing makes no version, as with the real one.
    if (old && same(old, object)) return old;
    const generation = (old?.metadata.generation ?? 0) + (old && !same(old.spec, object.spec) ? 1 : old ? 0 : 1);
    const stored = {
      ...object,
      metadata: { ...object.metadata, generation, resourceVersion: String(++this.#version) },
    };
    this.#of(kind).set(keyOf(object.metadata), stored);
    this.#publish(kind, type, stored);
    return stored;
  }

  #publish(kind: ResourceKind, type: WatchEvent['type'], object: KubeObject): void {
    const event = { type, object: structuredClone(object) };
    this.#history.push({ version: this.#version, kind: idOf(kind), event });
    if (this.#history.length > 1000) this.#compacted = (this.#history.shift() as { version: number }).version;
    for (const watcher of this.#watchers) {
      if (watcher.kind !== idOf(kind)) continue;
      offer(watcher, event);
      watcher.wake();
    }
  }

  #note(verb: Write['verb'], kind: ResourceKind, key: string, subresource: string | undefined, body: unknown): void {
    this.writes.push({ verb, kind: kind.kind, key, subresource, body: structuredClone(body) });
  }
}

function idOf({ group, plural }: ResourceKind): string {
  return `${plural}.${group}`;
}

function offer({ selection, queue }: Watcher, event: WatchEvent): void {
  // An object that the selection no longer holds is gone for this watcher; one that it never held too, which does no harm.
  if (selects(selection, event.object)) queue.push(event);
  else if (event.type === 'MODIFIED') queue.push({ ...event, type: 'DELETED' });
}

function selects({ namespace, labelSelector }: Selection, { metadata }: KubeObject): boolean {
  if (namespace !== undefined && metadata.namespace !== namespace) return false;
  return (labelSelector ?? '').split(',').every((term) => {
    if (term === '') return true;
    const [unequal = '', to] = term.split('!=');
    if (to !== undefined) return metadata.labels?.[unequal] !== to;
    const negated = term.startsWith('!');
    const [name = '', value] = term.slice(negated ? 1 : 0).split('=');
    const there = metadata.labels?.[name];
    if (negated) return there === undefined;
    return value === undefined ? there !== undefined : there === value;
  });
}

/** Of managedFields only who changed spec.replicas last: a write that leaves them as they are changes no owner. */
function replicasOf(old: KubeObject, now: KubeObject, manager: string, subresource?: string): KubeObject {
  const replicas = ({ spec }: KubeObject) => (spec as Json | undefined)?.replicas;
  if (replicas(old) === replicas(now)) return now;
  const entry = { manager, operation: 'Update', subresource, fieldsV1: { 'f:spec': { 'f:replicas': {} } } };
  return { ...now, metadata: { ...now.metadata, managedFields: [entry] } };
}

function locked(old: KubeObject, version: string | undefined): void {
  if (version !== undefined && version !== old.metadata.resourceVersion) {
    throw new KubeError(409, 'Conflict', 'the object has been modified');
  }
}

const separator = '\u0000';

function* leaves(value: unknown, path = ''): Generator<[string, unknown]> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    yield [path, value];
    return;
  }
  for (const [field, each] of Object.entries(value)) {
    if (each !== undefined) yield* leaves(each, path === '' ? field : `${path}${separator}${field}`);
  }
}

function at(object: unknown, path: string): unknown {
  return path.split(separator).reduce<unknown>((value, field) => (value as Json | undefined)?.[field], object);
}

function put(object: Json, path: string, value: unknown): void {
  const fields = path.split(separator);
  const last = fields.pop() as string;
  let place = object;
  for (const field of fields) {
    const next = place[field];
    if (typeof next === 'object' && next !== null) place = next as Json;
    else {
      if (value === undefined) return;
      const made: Json = {};
      place[field] = made;
      place = made;
    }
  }
  if (value === undefined) delete place[last];
  else place[last] = structuredClone(value);
}

function merged(old: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return structuredClone(patch);
  const result: Json = { ...(typeof old === 'object' && old !== null && !Array.isArray(old) ? (old as Json) : {}) };
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) delete result[field];
    else result[field] = merged(result[field], value);
  }
  return result;
}

function same(one: unknown, other: unknown): boolean {
  return canonical(one) === canonical(other);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(
          Object.entries(each)
            .filter(([, v]) => v !== undefined)
            .sort(([a], [b]) => (a < b ? -1 : 1)),
        )
      : each,
  );
}
