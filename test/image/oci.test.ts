import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import * as assert from 'uvu/assert';
import { type ImageContents, ociArchive } from '../../scripts/image/oci.ts';
import { tar } from '../../scripts/image/tar.ts';
import { imageReference, pacelineImage } from '../../scripts/image.ts';
import { suite } from '../support/suite.ts';

const contents: ImageContents = {
  reference: 'kind.local/example:1',
  layers: [
    [
      { kind: 'file', path: 'deep/er/text', bytes: Buffer.from('hello') },
      { kind: 'folder', path: 'tmp', mode: 0o1777 },
    ],
  ],
  entrypoint: ['/deep/er/text'],
  user: '65532:65532',
  workingDirectory: '/',
  environment: { PATH: '/bin' },
  labels: {},
};

interface Descriptor {
  digest: string;
  size: number;
}

suite('image archives', (test) => {
  const folder = mkdtempSync(join(tmpdir(), 'paceline-image-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));

  test('a path that tar cannot hold is refused', () => {
    assert.throws(() => tar([{ kind: 'folder', path: 'x'.repeat(101) }]), /cannot hold/);
    assert.throws(() => tar([{ kind: 'folder', path: `${'a/'.repeat(100)}b${'/c'.repeat(100)}` }]), /cannot hold/);
  });

  test('tar itself reads back what was written, long paths too', () => {
    const long = `${'folder/'.repeat(20)}${'n'.repeat(90)}`;
    const file = join(folder, 'plain.tar');
    const bytes = Buffer.alloc(1000, 'z');
    writeFileSync(file, tar([{ kind: 'file', path: long, bytes, mode: 0o640 }]));
    assert.is(execFileSync('tar', ['tf', file], { encoding: 'utf8' }).trim(), long);
    assert.ok(execFileSync('tar', ['xOf', file, long]).equals(bytes));
    assert.match(execFileSync('tar', ['tvf', file], { encoding: 'utf8' }), /^-rw-r----- 0\/0 +1000 1970-01-01/);
  });

  test('equal contents are equal bytes', () => {
    assert.ok(ociArchive(contents).archive.equals(ociArchive(structuredClone(contents)).archive));
    const other = { ...contents, user: '0' };
    assert.is.not(ociArchive(other).digest, ociArchive(contents).digest);
  });

  test('every blob is where its digest says, and the layer holds the folders of its files', () => {
    const files = unpack(ociArchive(contents).archive, join(folder, 'oci.tar'));
    const index = JSON.parse(files('index.json').toString()) as { manifests: Descriptor[] };
    const manifest = JSON.parse(blob(files, index.manifests[0]!).toString()) as {
      config: Descriptor;
      layers: Descriptor[];
    };
    const config = JSON.parse(blob(files, manifest.config).toString()) as {
      config: { User: string; Entrypoint: string[] };
      rootfs: { diff_ids: string[] };
    };
    assert.is(config.config.User, '65532:65532');
    assert.equal(config.config.Entrypoint, ['/deep/er/text']);
    const layer = gunzipSync(blob(files, manifest.layers[0]!));
    assert.is(`sha256:${createHash('sha256').update(layer).digest('hex')}`, config.rootfs.diff_ids[0]);
    const file = join(folder, 'layer.tar');
    writeFileSync(file, layer);
    assert.equal(execFileSync('tar', ['tf', file], { encoding: 'utf8' }).trim().split('\n'), [
      'deep/',
      'deep/er/',
      'deep/er/text',
      'tmp/',
    ]);
  });

  test("the project's image holds the program and Node.js, and none of what only development needs", () => {
    const { archive, digest } = pacelineImage();
    assert.is(pacelineImage().digest, digest);
    const files = unpack(archive, join(folder, 'paceline.tar'));
    const index = JSON.parse(files('index.json').toString()) as {
      manifests: (Descriptor & { annotations: Record<string, string> })[];
    };
    assert.is(index.manifests[0]!.annotations['io.containerd.image.name'], imageReference);
    const manifest = JSON.parse(blob(files, index.manifests[0]!).toString()) as { layers: Descriptor[] };
    const names = manifest.layers.flatMap((layer, at) => {
      const file = join(folder, `layer-${at}.tar`);
      writeFileSync(file, gunzipSync(blob(files, layer)));
      return execFileSync('tar', ['tf', file], { encoding: 'utf8' }).trim().split('\n');
    });
    for (const wanted of ['usr/local/bin/node', 'app/dist/paceline.mjs', 'app/LICENSE', 'etc/passwd']) {
      assert.ok(names.includes(wanted), wanted);
    }
    assert.ok(names.some((name) => /^app\/dist\/wasm\/batching\.simd\.wasm$/.test(name)));
    assert.equal(
      names.filter((name) => /\.map$|\.stamp$|debug\.wasm$|node_modules/.test(name)),
      [],
    );
  });
});

function unpack(archive: Buffer, file: string): (path: string) => Buffer {
  writeFileSync(file, archive);
  const at = mkdtempSync(`${file}-`);
  execFileSync('tar', ['xf', file, '-C', at]);
  return (path) => readFileSync(join(at, path));
}

function blob(files: (path: string) => Buffer, descriptor: Descriptor): Buffer {
  const bytes = files(`blobs/${descriptor.digest.replace(':', '/')}`);
  assert.is(bytes.length, descriptor.size);
  assert.is(`sha256:${createHash('sha256').update(bytes).digest('hex')}`, descriptor.digest);
  return bytes;
}
