// Writes the manifests that follow from the source or from other manifests. A test fails when one of them is stale.
//
//   npm run manifests
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { charts } from './manifests/charts.ts';
import { files } from './manifests/files.ts';
import { kubernetesTools } from './manifests/tools.ts';

const write = (path: string, text: string) => {
  const target = fileURLToPath(new URL(`../${path}`, import.meta.url));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
  console.log(`wrote ${path}`);
};
// Charts are made from what kustomize renders, which holds the files: these come first.
for (const [path, text] of Object.entries(files)) write(path, text());
for (const [path, text] of Object.entries(charts(await kubernetesTools()))) write(path, text);
