import type { KubeApi } from '../kube/kube-api.ts';
import { listAll } from '../kube/list-all.ts';
import { type KubeObject, kinds } from '../kube/objects.ts';

/** Where the mode is kept that `off` replaced, so that `on` brings it back. */
export const modeBeforeKey = 'paceline.dev/mode-before-off';

export interface SwitchSelection {
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined;
  /** Undefined: all services. */
  readonly name: string | undefined;
}

/**
 * Switches services off (companions pass requests through, what was steered is given back) or on again, by the mode of
 * their InferencePolicies. Says which were switched.
 *
 * @throws {Error} where a service was named and has no InferencePolicy.
 */
export async function switchServices(api: KubeApi, to: 'on' | 'off', selection: SwitchSelection): Promise<string[]> {
  const switched: string[] = [];
  let found = 0;
  for await (const policy of listAll(api, kinds.inferencePolicy, { namespace: selection.namespace })) {
    const target = targetOf(policy);
    if (selection.name !== undefined && target !== selection.name) continue;
    found++;
    const patch = to === 'off' ? offPatch(policy) : onPatch(policy);
    if (!patch) continue;
    await api.mergePatch(kinds.inferencePolicy, policy.metadata, patch);
    switched.push(`${policy.metadata.namespace}/${target}`);
  }
  if (found === 0 && selection.name !== undefined) {
    throw new Error(
      `${selection.namespace ?? 'the cluster'}/${selection.name} has no InferencePolicy: is it annotated with paceline.dev/slo, and does the controller run?`,
    );
  }
  return switched;
}

function offPatch({ spec }: KubeObject): object | undefined {
  const { mode } = (spec ?? {}) as { mode?: string };
  if (mode === 'off') return undefined;
  return { metadata: { annotations: { [modeBeforeKey]: mode ?? '' } }, spec: { mode: 'off' } };
}

function onPatch({ metadata, spec }: KubeObject): object | undefined {
  const { mode } = (spec ?? {}) as { mode?: string };
  if (mode !== 'off') return undefined;
  const before = metadata.annotations?.[modeBeforeKey];
  return {
    metadata: { annotations: { [modeBeforeKey]: null } },
    spec: { mode: before === 'act' || before === 'advise' ? before : null },
  };
}

function targetOf({ spec }: KubeObject): string {
  return (spec as { targetRef?: { name?: string } } | undefined)?.targetRef?.name ?? '';
}
