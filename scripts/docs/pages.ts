import { annotationsPage } from './annotations.ts';
import { configurationPage } from './configuration.ts';
import { controllerPage } from './controller.ts';
import { crdsPage } from './crds.ts';
import { errorsPage } from './errors.ts';
import { metricsPage } from './metrics.ts';
import { reasonsPage } from './reasons.ts';

const note = '<!-- Written by `npm run docs` from the source: change it there. -->\n\n';

/** Generated pages by their place in the repository. */
export const pages: Readonly<Record<string, () => string>> = {
  'docs/annotations.md': () => note + annotationsPage(),
  'docs/configuration.md': () => note + configurationPage(),
  'docs/controller.md': () => note + controllerPage(),
  'docs/crds.md': () => note + crdsPage(),
  'docs/errors.md': () => note + errorsPage(),
  'docs/metrics.md': () => note + metricsPage(),
  'docs/reasons.md': () => note + reasonsPage(),
};
