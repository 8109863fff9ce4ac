import { alertsFile } from './alerts.ts';
import { crdFiles } from './crds.ts';
import { dashboardFile } from './dashboard.ts';

/** Manifests that are generated from the source, by their place in the repository. */
export const files: Readonly<Record<string, () => string>> = {
  ...crdFiles,
  'manifests/overlays/prometheus/alerts.yaml': alertsFile,
  'manifests/overlays/prometheus/dashboard.json': dashboardFile,
};
