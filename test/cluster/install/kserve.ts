import { chmodSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dependencyFolder, programPath } from '../build.ts';
import { run } from '../command.ts';
import { type Manifest, parseManifests, readManifests } from '../documents.ts';
import { kserve, kubernetes } from '../parts.ts';
import { ingressClass, paths, versions } from '../settings.ts';

/** Patches that need what is not here: a proxy image in front of the metrics, and more memory than there is. */
const patchesLeftOut = /^- path: manager_(auth_proxy|resources)_patch\.yaml$/gm;
const certManagerKinds = ['Certificate', 'Issuer'];
const namespace = 'kserve';

export interface KserveInstall {
  definitions: Manifest[];
  workloads: Manifest[];
}

export function kserveImage(program: string): string {
  return `kind.local/kserve/${program}:${versions.kserve}`;
}

/**
 * Makes KServe's install out of its Go module with kustomize. Where cert-manager would put a certificate authority,
 * `withAuthority` does.
 */
export async function kserveInstall(): Promise<KserveInstall> {
  const copy = join(paths.manifests, 'kserve-source');
  rmSync(copy, { recursive: true, force: true });
  cpSync(join(await dependencyFolder(kserve, 'github.com/kserve/kserve'), 'config'), copy, { recursive: true });
  makeWritable(copy);
  const kustomization = join(copy, 'default/kustomization.yaml');
  writeFileSync(kustomization, readFileSync(kustomization, 'utf8').replaceAll(patchesLeftOut, ''));
  const built = await run(programPath(kubernetes, 'kubectl'), ['kustomize', join(copy, 'default')]);
  const all = parseManifests(built).filter((object) => !certManagerKinds.includes(object.kind));
  const settings = readManifests(join(copy, 'configmap/inferenceservice.yaml')).map((map) => ({
    ...map,
    metadata: { ...map.metadata, namespace },
    data: adaptSettings(map.data ?? {}),
  }));
  rmSync(copy, { recursive: true, force: true });
  const isDefinition = (object: Manifest) => object.kind === 'CustomResourceDefinition';
  return {
    definitions: all.filter(isDefinition),
    workloads: [...all.filter((object) => !isDefinition(object)).map(adaptManager), ...settings],
  };
}

/** Writes a certificate authority into every webhook and conversion that calls KServe. */
export function withAuthority(object: Manifest, authority: string): Manifest {
  const caBundle = Buffer.from(authority).toString('base64');
  const copy = structuredClone(object) as Manifest & {
    webhooks?: { clientConfig: { caBundle?: string } }[];
    spec?: { conversion?: { webhook?: { clientConfig: { caBundle?: string } } } };
  };
  for (const webhook of copy.webhooks ?? []) webhook.clientConfig.caBundle = caBundle;
  const conversion = copy.spec?.conversion?.webhook;
  if (conversion) conversion.clientConfig.caBundle = caBundle;
  return copy;
}

interface Container {
  name: string;
  image: string;
  imagePullPolicy?: string;
  readinessProbe?: { initialDelaySeconds?: number };
  livenessProbe?: { initialDelaySeconds?: number };
  resources?: { requests?: Record<string, string> };
}

function adaptManager(object: Manifest): Manifest {
  if (object.kind !== 'Deployment' || object.metadata.name !== 'kserve-controller-manager') return object;
  const { containers } = (object.spec as { template: { spec: { containers: Container[] } } }).template.spec;
  for (const container of containers.filter((each) => each.name === 'manager')) {
    container.image = kserveImage('manager');
    container.imagePullPolicy = 'IfNotPresent';
    for (const probe of [container.readinessProbe, container.livenessProbe]) {
      if (probe) Object.assign(probe, { initialDelaySeconds: 1, periodSeconds: 2 });
    }
    if (container.resources) container.resources.requests = { cpu: '10m', memory: '100Mi' };
  }
  return object;
}

/** KServe's settings are JSON texts in a ConfigMap. Its images are ours, and its sidecars ask for what fits here. */
function adaptSettings(data: Record<string, string>): Record<string, string> {
  const small = { cpuRequest: '5m', memoryRequest: '32Mi' };
  const sidecar = { image: kserveImage('agent'), ...small };
  const changes: Record<string, Record<string, unknown>> = {
    agent: sidecar,
    batcher: sidecar,
    logger: sidecar,
    router: { image: kserveImage('router'), ...small },
    ingress: { disableIstioVirtualHost: true, ingressClassName: ingressClass },
    deploy: { defaultDeploymentMode: 'Knative' },
  };
  const { _example, ...settings } = data;
  for (const [key, change] of Object.entries(changes)) {
    const current = JSON.parse(settings[key] ?? '{}') as Record<string, unknown>;
    settings[key] = JSON.stringify({ ...current, ...change });
  }
  return settings;
}

/** Files of Go's module cache cannot be written. */
function makeWritable(folder: string): void {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) makeWritable(path);
    else chmodSync(path, 0o644);
  }
}
