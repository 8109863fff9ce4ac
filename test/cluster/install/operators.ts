import { join } from 'node:path';
import { dependencyFolder } from '../build.ts';
import { type Manifest, readManifests } from '../documents.ts';

/** Nothing of it is built: its dependencies are modules in which operators publish their definitions. */
const part = { module: 'operators' };

const files = [
  {
    module: 'github.com/cert-manager/cert-manager',
    folder: 'deploy/crds',
    names: ['cert-manager.io_certificates.yaml', 'cert-manager.io_issuers.yaml'],
  },
  {
    module: 'github.com/prometheus-operator/prometheus-operator',
    folder: 'example/prometheus-operator-crd',
    names: ['monitoring.coreos.com_podmonitors.yaml', 'monitoring.coreos.com_prometheusrules.yaml'],
  },
  { module: 'istio.io/api', folder: 'kubernetes', names: ['customresourcedefinitions.gen.yaml'] },
];

/** Fetches what `operatorDefinitions` reads: from inside the cluster's network nothing can be. */
export async function fetchOperators(): Promise<void> {
  for (const { module } of files) await dependencyFolder(part, module);
}

/** Of the kinds that overlays use: those of cert-manager, Istio and the Prometheus operator, as these publish them. */
export async function operatorDefinitions(): Promise<Manifest[]> {
  const all: Manifest[] = [];
  for (const { module, folder, names } of files) {
    const path = join(await dependencyFolder(part, module), folder);
    all.push(...readManifests(...names.map((name) => join(path, name))));
  }
  return all.filter(({ metadata: { name } }) => !name.endsWith('.istio.io') || name.endsWith('.security.istio.io'));
}
