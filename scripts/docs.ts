// Writes the pages of docs/ that follow from the source. A test fails when one of them is stale.
//
//   npm run docs
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pages } from './docs/pages.ts';

for (const [path, page] of Object.entries(pages)) {
  writeFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), page());
  console.log(`wrote ${path}`);
}
