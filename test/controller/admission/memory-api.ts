import type { KubeApi } from '../../../src/kube/kube-api.ts';
import { KubeError } from '../../../src/kube/kube-error.ts';
import type { KubeObject, ObjectName, ResourceKind } from '../../../src/kube/objects.ts';

/** Objects in memory, with the API server's versions and conflicts: as much of the API as webhooks and their secrets use. */
export class MemoryApi {
  readonly objects = new Map<string, KubeObject>();
  readonly writes: string[] = [];
  /** Runs before a write is judged: somebody else is faster. */
  before: (() => void) | undefined;
  down = false;
  #version = 0;

  /** The same object, for those who take the whole API. What is not here is never called. */
  get api(): KubeApi {
    return this as unknown as KubeApi;
  }

  put(kind: ResourceKind, object: KubeObject): void {
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) };
    this.objects.set(keyOf(kind, object.metadata), { ...object, metadata });
  }

  async get(kind: ResourceKind, name: ObjectName): Promise<KubeObject> {
    if (this.down) throw new KubeError(0, 'Unreachable', 'no answer');
    const found = this.objects.get(keyOf(kind, name));
    if (!found) throw new KubeError(404, 'NotFound', `${kind.plural} ${name.name} not found`);
    return found;
  }

  async list(kind: ResourceKind, selection: { namespace?: string }): Promise<{ items: KubeObject[] }> {
    if (this.down) throw new KubeError(0, 'Unreachable', 'no answer');
    const start = `${kind.plural}/${selection.namespace ?? ''}`;
    return { items: [...this.objects].filter(([key]) => key.startsWith(start)).map(([, object]) => object) };
  }

  async create(kind: ResourceKind, object: KubeObject): Promise<KubeObject> {
    this.#interrupt();
    const key = keyOf(kind, object.metadata);
    if (this.objects.has(key)) throw new KubeError(409, 'AlreadyExists', key);
    this.put(kind, object);
    this.writes.push(`create ${key}`);
    return this.get(kind, object.metadata);
  }

  async mergePatch(kind: ResourceKind, name: ObjectName, patch: object): Promise<KubeObject> {
    this.#interrupt();
    const found = await this.get(kind, name);
    const { metadata, ...rest } = patch as { metadata?: { resourceVersion?: string } };
    if (metadata?.resourceVersion !== undefined && metadata.resourceVersion !== found.metadata.resourceVersion) {
      throw new KubeError(409, 'Conflict', keyOf(kind, name));
    }
    this.put(kind, { ...found, ...rest });
    this.writes.push(`patch ${keyOf(kind, name)}`);
    return this.get(kind, name);
  }

  async replace(kind: ResourceKind, object: KubeObject): Promise<KubeObject> {
    this.#interrupt();
    const found = await this.get(kind, object.metadata);
    if (object.metadata.resourceVersion !== found.metadata.resourceVersion)
      throw new KubeError(409, 'Conflict', 'lease');
    this.put(kind, object);
    return this.get(kind, object.metadata);
  }

  #interrupt(): void {
    const { before } = this;
    this.before = undefined;
    before?.();
  }
}

function keyOf(kind: ResourceKind, { namespace, name }: ObjectName): string {
  return `${kind.plural}/${namespace ?? ''}/${name}`;
}
