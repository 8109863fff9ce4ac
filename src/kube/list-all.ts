import type { KubeApi, Page, Selection } from './kube-api.ts';
import { isExpired, isNotFound } from './kube-error.ts';
import { type KubeObject, keyOf, type ResourceKind } from './objects.ts';

const pageSize = 250;

/**
 * All objects of a kind, page by page; none where the cluster does not have the kind. Where its reader takes so long that
 * the list expires (minutes), it begins again and leaves out what it has told.
 */
export async function* listAll(
  api: KubeApi,
  kind: ResourceKind,
  selection: Selection = {},
): AsyncGenerator<KubeObject> {
  const told = new Set<string>();
  let next: string | undefined;
  for (;;) {
    let page: Page;
    try {
      page = await api.list(kind, selection, pageSize, next);
    } catch (error) {
      if (isNotFound(error)) return;
      // Only a list that was begun can expire.
      if (!isExpired(error) || next === undefined) throw error;
      next = undefined;
      continue;
    }
    for (const object of page.items) {
      const key = keyOf(object.metadata);
      if (told.has(key)) continue;
      told.add(key);
      yield object;
    }
    if (page.next === undefined) return;
    next = page.next;
  }
}
