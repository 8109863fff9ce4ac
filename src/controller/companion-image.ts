import type { KubeApi } from '../kube/kube-api.ts';
import { isNotFound } from '../kube/kube-error.ts';
import { type KubeObject, kinds } from '../kube/objects.ts';

/** The container of our own pod that runs the controller. */
const controllerName = 'controller';
/** The init container of our own pod that tries another image for companions. */
export const trialName = 'companion-trial';

interface Running {
  readonly image: string;
  /** By digest, where the container runtime knows one: the same bytes on every node. */
  readonly pinned: string;
}

/**
 * The image that pods are given: one that our own pod has pulled and run before any webhook is served, by digest where
 * that is known. It is the controller's own, or that of the init container `companion-trial`. A name that was configured
 * has to be one of the two: an image that nobody has tried would keep every new pod of every service from starting.
 *
 * @param configured empty: whatever was tried
 * @throws {Error} where what is configured was not tried, or where nothing is configured and we are in no pod
 */
export async function companionImage(
  api: KubeApi,
  namespace: string,
  pod: string,
  configured: string,
): Promise<string> {
  let own: KubeObject;
  try {
    own = await api.get(kinds.pod, { namespace, name: pod });
  } catch (error) {
    // Outside of a pod, such as on a developer's machine, there is nothing that could have tried it.
    if (configured !== '' && isNotFound(error)) return configured;
    throw error;
  }
  const trial = runningIn(own, 'initContainers', 'initContainerStatuses', trialName);
  const controller = runningIn(own, 'containers', 'containerStatuses', controllerName);
  const tried = [trial, controller].filter((each) => each !== undefined);
  const [first] = tried;
  if (!first) throw new Error(`pod ${namespace}/${pod} has no container \`${controllerName}\``);
  const found = configured === '' ? first : tried.find(({ image, pinned }) => [image, pinned].includes(configured));
  if (!found) {
    throw new Error(`${configured} has not been tried: give this pod an init container \`${trialName}\` that runs it`);
  }
  return found.pinned;
}

function runningIn(pod: KubeObject, containers: string, statuses: string, name: string): Running | undefined {
  const spec = pod.spec as Record<string, { name: string; image?: string }[] | undefined> | undefined;
  const status = pod.status as Record<string, { name: string; imageID?: string }[] | undefined> | undefined;
  const image = spec?.[containers]?.find((each) => each.name === name)?.image;
  if (!image) return undefined;
  const id = status?.[statuses]?.find((each) => each.name === name)?.imageID ?? '';
  const digest = /^(?:docker-pullable:\/\/)?([^\s]+@sha256:[0-9a-f]{64})$/.exec(id)?.[1];
  // An image that was only ever loaded into the node has no digest by which it could be pulled.
  return { image, pinned: image.includes('@') ? image : (digest ?? image) };
}
