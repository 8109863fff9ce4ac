// Writes the project's container image as an OCI archive, without Docker and without a registry:
//
//   npm run image -- --out paceline.tar [--reference kind.local/paceline:0.1.0]
//
// The image holds Node.js with its shared libraries (the first layer) and dist/ (the second), and runs as user 65532.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { nodeFiles, nodePath } from './image/node-files.ts';
import { type ImageContents, ociArchive } from './image/oci.ts';
import type { TarEntry } from './image/tar.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

/** What the image is called unless the caller says otherwise. Knative does not look up digests of `kind.local/...`. */
export const imageReference = `kind.local/paceline:${version}`;

/** What is left out of dist/: what only development needs. */
const notShipped = /\.(map|stamp)$|\.debug\.wasm$|^meta\.json$/;

/**
 * Makes the image of what `npm run build` left in dist/.
 *
 * @throws Error when dist/ has not been built.
 */
export function pacelineImage(reference = imageReference): { archive: Buffer; digest: string } {
  return ociArchive(pacelineContents(reference));
}

/** What the image is made of. */
export function pacelineContents(reference = imageReference): ImageContents {
  return {
    reference,
    layers: [nodeFiles(), programFiles()],
    entrypoint: [`/${nodePath}`, '/app/dist/paceline.mjs'],
    user: '65532:65532',
    workingDirectory: '/app',
    environment: { PATH: '/usr/local/bin', NODE_ENV: 'production' },
    labels: {
      'org.opencontainers.image.title': 'paceline',
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.licenses': 'Apache-2.0',
    },
  };
}

function programFiles(): TarEntry[] {
  const dist = join(root, 'dist');
  if (!existsSync(join(dist, 'meta.json'))) throw new Error('dist/ is not built: run npm run build first');
  const { outputs } = JSON.parse(readFileSync(join(dist, 'meta.json'), 'utf8')) as { outputs: Record<string, unknown> };
  // What an earlier build left in dist/ is no part of the program: scripts are those that the bundler names.
  const scripts = Object.keys(outputs).map((path) => path.replace(/^dist\//, ''));
  const others = readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dist.length + 1))
    .filter((path) => !path.endsWith('.mjs'));
  const shipped = [...scripts, ...others].filter((path) => !notShipped.test(path));
  return [
    ...shipped.map((path) => entryOf(`app/dist/${path}`, join(dist, path))),
    entryOf('app/package.json', join(root, 'package.json')),
    entryOf('app/LICENSE', join(root, 'LICENSE')),
  ];
}

function entryOf(path: string, from: string): TarEntry {
  return { kind: 'file', path, bytes: readFileSync(from) };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values } = parseArgs({ options: { out: { type: 'string' }, reference: { type: 'string' } } });
  if (!values.out) {
    console.error('usage: npm run image -- --out FILE [--reference NAME:TAG]');
    process.exit(2);
  }
  const { archive, digest } = pacelineImage(values.reference);
  writeFileSync(values.out, archive);
  console.log(
    `${values.out}: ${values.reference ?? imageReference}, ${(archive.length / 1e6).toFixed(1)} MB, ${digest}`,
  );
}
