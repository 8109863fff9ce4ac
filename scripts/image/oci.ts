import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { type TarEntry, tar } from './tar.ts';

/** What goes into an image. */
export interface ImageContents {
  /** Name and tag, such as `kind.local/paceline:0.1.0`. */
  reference: string;
  /** Each layer's files; a layer that did not change keeps its digest. */
  layers: readonly (readonly TarEntry[])[];
  entrypoint: readonly string[];
  /** Numeric, such as `65532:65532`: Kubernetes can check that it is not root without looking into the image. */
  user: string;
  workingDirectory: string;
  environment: Readonly<Record<string, string>>;
  labels: Readonly<Record<string, string>>;
}

interface Blob {
  digest: string;
  bytes: Buffer;
}

/**
 * Writes an image as an OCI image layout in a tar archive, which `ctr images import`, `podman load`, `skopeo` and
 * `docker load` take. Nothing in it depends on the time or the place it was made: equal contents are equal bytes.
 *
 * @returns the archive, and the manifest's digest, by which a registry would know the image.
 * @see https://github.com/opencontainers/image-spec/blob/main/image-layout.md
 */
export function ociArchive(contents: ImageContents): { archive: Buffer; digest: string } {
  const layers = contents.layers.map((entries) => {
    const plain = tar(withFolders(entries));
    return { diffId: sha256(plain), blob: blobOf(gzipSync(plain, { level: 3 })) };
  });
  const config = blobOf(
    json({
      architecture: architectureOf(process.arch),
      os: 'linux',
      config: {
        User: contents.user,
        Env: Object.entries(contents.environment).map(([name, value]) => `${name}=${value}`),
        Entrypoint: contents.entrypoint,
        WorkingDir: contents.workingDirectory,
        Labels: contents.labels,
      },
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    }),
  );
  const manifestType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = blobOf(
    json({
      schemaVersion: 2,
      mediaType: manifestType,
      config: descriptor(config, 'application/vnd.oci.image.config.v1+json'),
      layers: layers.map((layer) => descriptor(layer.blob, 'application/vnd.oci.image.layer.v1.tar+gzip')),
    }),
  );
  const index = json({
    schemaVersion: 2,
    manifests: [
      {
        ...descriptor(manifest, manifestType),
        annotations: {
          'io.containerd.image.name': contents.reference,
          'org.opencontainers.image.ref.name': contents.reference.slice(contents.reference.lastIndexOf(':') + 1),
        },
      },
    ],
  });
  const blobs = new Map([config, manifest, ...layers.map((layer) => layer.blob)].map((blob) => [blob.digest, blob]));
  const archive = tar([
    { kind: 'file', path: 'oci-layout', bytes: json({ imageLayoutVersion: '1.0.0' }) },
    { kind: 'file', path: 'index.json', bytes: index },
    ...[...blobs.values()].map((blob) => ({
      kind: 'file' as const,
      path: `blobs/${blob.digest.replace(':', '/')}`,
      bytes: blob.bytes,
    })),
  ]);
  return { archive, digest: manifest.digest };
}

/** Sorts the entries and adds the folders that they are in: some runtimes do not make them by themselves. */
function withFolders(entries: readonly TarEntry[]): TarEntry[] {
  const byPath = new Map<string, TarEntry>();
  for (const entry of entries) {
    const parts = entry.path.split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      const path = parts.slice(0, depth).join('/');
      if (!byPath.has(path)) byPath.set(path, { kind: 'folder', path });
    }
    byPath.set(entry.path, entry);
  }
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function architectureOf(nodeName: string): string {
  return nodeName === 'x64' ? 'amd64' : nodeName;
}

function descriptor(blob: Blob, mediaType: string): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest: blob.digest, size: blob.bytes.length };
}

function blobOf(bytes: Buffer): Blob {
  return { digest: sha256(bytes), bytes };
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
