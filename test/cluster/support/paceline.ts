// Installs Paceline on the cluster as its documentation says: the definitions, then everything else.
import { join } from 'node:path';
import { loadPacelineImage } from '../images.ts';
import { kubectl, rolledOut } from '../kubectl.ts';
import { projectRoot } from '../settings.ts';
import { get, until } from './cluster.ts';

export const systemNamespace = 'paceline-system';
const manifests = join(projectRoot, 'manifests');

interface WebhookConfiguration {
  webhooks: { name: string; clientConfig: { caBundle?: string } }[];
}

/** Applies a folder below manifests/, taking over fields that somebody else has. */
export async function applyFolder(folder: string, ...more: string[]): Promise<string> {
  return kubectl(['apply', '--server-side', '--force-conflicts', '-k', join(manifests, folder), ...more]);
}

/** Definitions, rights, webhooks and the controller, which may still be starting. Does nothing where all is there. */
export async function applyPaceline(): Promise<void> {
  await applyDefinitions();
  await until('an earlier namespace of Paceline to be gone', async () => !(await isBeingRemoved()), 120_000);
  await applyFolder('base');
}

/** The definitions, until the API server serves them. */
export async function applyDefinitions(): Promise<void> {
  await applyFolder('crds');
  const definitions = ['inferencepolicies', 'pricelists'].map((name) => `crd/${name}.paceline.dev`);
  // kubectl's wait fails on an object that has no status yet, which a new definition has for a moment.
  const established = async () =>
    (await kubectl(['wait', '--for=condition=Established', '--timeout=10s', ...definitions])) !== '';
  await until('the definitions to be established', established, 60_000);
}

async function isBeingRemoved(): Promise<boolean> {
  const selector = `--field-selector=metadata.name=${systemNamespace}`;
  const said = await kubectl(['get', 'namespaces', selector, '-o', 'jsonpath={.items[*].metadata.deletionTimestamp}']);
  return said !== '';
}

/**
 * Loads the project's image, installs Paceline and waits until its webhooks answer.
 *
 * @throws Error when the controller does not become available, or does not write its authority, in time.
 */
export async function installPaceline(): Promise<void> {
  await loadPacelineImage();
  await applyPaceline();
  await rolledOut(systemNamespace, ['paceline-controller'], 120);
  for (const kind of ['mutatingwebhookconfiguration', 'validatingwebhookconfiguration']) {
    await until(
      `the authority in the ${kind}`,
      async () => {
        const { webhooks } = await get<WebhookConfiguration>(kind, '', 'paceline.dev');
        return webhooks.every(({ clientConfig }) => clientConfig.caBundle);
      },
      30_000,
    );
  }
}

/** Gives everything back, then removes all but the definitions. */
export async function uninstallPaceline(): Promise<void> {
  await applyFolder('uninstall');
  await kubectl([
    '-n',
    systemNamespace,
    'wait',
    '--for=condition=complete',
    '--timeout=180s',
    'job/paceline-uninstall',
  ]);
  await kubectl(['delete', '--ignore-not-found', '-k', join(manifests, 'base'), '--timeout=120s']);
}
