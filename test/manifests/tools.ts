import { type KubernetesTools, kubernetesTools } from '../../scripts/manifests/tools.ts';

/** The tools, or why they cannot be had: then what needs them is skipped, and never passed. */
export const tools: KubernetesTools | undefined = await kubernetesTools().catch((error: unknown) => {
  console.log(
    `skip test/manifests: kubectl and helm cannot be fetched (${error instanceof Error ? error.message : error})`,
  );
  return undefined;
});

/** The tools, in a test that is skipped without them. */
export function needTools(): KubernetesTools {
  if (!tools) throw new Error('this test runs only with the tools');
  return tools;
}
