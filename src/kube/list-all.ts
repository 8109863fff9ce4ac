import type { KubeApi, Selection } from './kube-api.ts';
import { isNotFound } from './kube-error.ts';
import type { KubeObject, ResourceKind } from './objects.ts';

const pageSize = 250;

/** All objects of a kind, page by page; none where the cluster does not have the kind. */
export async function* listAll(
  api: KubeApi,
  kind: ResourceKind,
  selection: Selection = {},
): AsyncGenerator<KubeObject> {
  let next: string | undefined;
  do {
    try {
      const page = await api.list(kind, selection, pageSize, next);
      yield* page.items;
      next = page.next;
    } catch (error) {
      if (isNotFound(error)) return;
      throw error;
    }
  } while (next !== undefined);
}
