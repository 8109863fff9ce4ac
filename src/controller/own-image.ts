import type { KubeApi } from '../kube/kube-api.ts';
import { type KubeObject, kinds } from '../kube/objects.ts';

/** The container of our own pod that runs the controller. */
const containerName = 'controller';

/**
 * The image that our own pod runs, by digest where the container runtime knows one: it has been pulled, and runs.
 *
 * @throws where we are in no pod, or may not read it
 */
export async function ownImage(api: KubeApi, namespace: string, pod: string): Promise<string> {
  const own = await api.get(kinds.pod, { namespace, name: pod });
  const image = imageOf(own);
  if (!image) throw new Error(`pod ${namespace}/${pod} has no container \`${containerName}\``);
  return image;
}

function imageOf(pod: KubeObject): string | undefined {
  const spec = pod.spec as { containers?: { name: string; image?: string }[] } | undefined;
  const status = pod.status as { containerStatuses?: { name: string; imageID?: string }[] } | undefined;
  const image = spec?.containers?.find(({ name }) => name === containerName)?.image;
  const id = status?.containerStatuses?.find(({ name }) => name === containerName)?.imageID;
  const pinned = id && /^(?:docker-pullable:\/\/)?([^\s]+@sha256:[0-9a-f]{64})$/.exec(id)?.[1];
  // An image that was only ever loaded into the node has no digest by which it could be pulled.
  return image?.includes('@') ? image : (pinned ?? image);
}
