import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(root, file)));
const sources = tracked.filter((file) => /^src\/.*\.ts$/.test(file) && !file.endsWith('.d.ts'));

/** Dependencies point from a layer to those below it. A sibling may be imported only in the topmost and lowest layers. */
const layers = [
  ['cli'],
  ['demo', 'replay'],
  ['load'],
  ['companion', 'controller', 'router', 'simulator', 'training', 'dashboard', 'digits'],
  ['planner', 'protocol', 'policy', 'kube', 'telemetry'],
  ['kernels'],
];

/** The same inside the companion. What holds it together is above all of them, what all need is below. */
const companionLayers = [
  ['listening', 'batching', 'passing', 'pod'],
  ['answering'],
  ['observing'],
  ['upstream'],
  ['http'],
];

const bundleBytesMax = 1_350_000;

/** A file of the bundle, as esbuild describes it. */
interface Output {
  readonly imports: readonly { readonly path: string; readonly kind: string }[];
  readonly inputs: Readonly<Record<string, unknown>>;
}

suite('structure', (test) => {
  test('imports point one way', () => {
    const wrong: string[] = [];
    for (const file of sources) {
      const from = folderOf(file);
      assert.ok(layerOf(from) >= 0, `src/${from} is in no layer`);
      for (const target of importsOf(file)) {
        if (target.startsWith('assembly/')) {
          if (from !== 'kernels' || !/[/-]codes\.ts$/.test(target)) wrong.push(`${file} -> ${target}`);
        } else if (target.startsWith('src/')) {
          const to = folderOf(target);
          if (to !== from && layerOf(to) <= layerOf(from)) wrong.push(`${file} -> ${target}`);
        }
      }
    }
    assert.equal(wrong, []);
  });

  test('inside the companion too', () => {
    const partOf = (file: string) => /^src\/companion\/([^/]+)\//.exec(file)?.[1];
    const levelOf = (part: string) => companionLayers.findIndex((layer) => layer.includes(part));
    const wrong: string[] = [];
    for (const file of sources) {
      const from = partOf(file);
      if (from === undefined) continue;
      assert.ok(levelOf(from) >= 0, `src/companion/${from} is in no layer`);
      for (const target of importsOf(file)) {
        const to = partOf(target);
        if (to === undefined || to === from) continue;
        if (levelOf(to) <= levelOf(from)) wrong.push(`${file} -> ${target}`);
      }
    }
    assert.equal(wrong, []);
  });

  test('only src/kernels touches WebAssembly', () => {
    const touching = sources.filter((file) => /\bWebAssembly\b/.test(read(file)) && folderOf(file) !== 'kernels');
    assert.equal(touching, []);
  });

  test('no source file holds two concepts', () => {
    const long = tracked
      .filter((file) => /^(src|assembly)\/.*\.ts$/.test(file))
      .filter((file) => read(file).split('\n').length > 400);
    assert.equal(long, []);
  });

  test('kernels have no imports, in every flavour', () => {
    const files = ['batching', 'wire', 'digits', 'placement'].flatMap((kernel) =>
      ['simd', 'scalar', 'debug'].map((flavour) => join(root, `dist/wasm/${kernel}.${flavour}.wasm`)),
    );
    for (const file of files) assert.equal(importSection(readFileSync(file)), 0, relative(root, file));
  });

  test('a companion loads neither express nor a Kubernetes client', () => {
    const { outputs } = JSON.parse(read('dist/meta.json')) as { outputs: Record<string, Output> };
    const everywhere = Object.values(outputs).flatMap(({ inputs }) => Object.keys(inputs));
    const foreign = /node_modules\/(express|@kubernetes|@peculiar|@opentelemetry\/(?!api\/)[^/]+|zod|yaml)\//;
    assert.ok(
      everywhere.some((input) => foreign.test(input)),
      'the metafile names what the controller is made of',
    );
    const loaded = loadedAtStart(outputs).flatMap((output) => Object.keys(outputs[output]?.inputs ?? {}));
    assert.ok(loaded.length > 40, 'the chunks that are imported at once are followed');
    assert.equal(
      loaded.filter((input) => foreign.test(input)),
      [],
    );
  });

  test('what is loaded at the start of every pod is small', () => {
    const { outputs } = JSON.parse(read('dist/meta.json')) as { outputs: Record<string, Output> };
    const bytes = loadedAtStart(outputs).reduce((sum, output) => sum + statSync(join(root, output)).size, 0);
    assert.ok(bytes <= bundleBytesMax, `${bytes} bytes`);
  });

  test('every source file is used by the program', () => {
    const inProgram = reachableFrom(['src/cli/main.ts']);
    assert.ok(inProgram.size > 40, `imports are followed: ${inProgram.size} files`);
    const besideIt = tracked.filter((file) => /^(test|bench|scripts)\/.*\.(ts|mjs)$/.test(file));
    // A kernel may have a host before the part of the program that needs it.
    const inKernelTests = reachableFrom(besideIt);
    // Rivals and traces are measured against, not shipped: the mirror's own tests do not keep them alive.
    const inSimulations = reachableFrom(besideIt.filter((file) => !file.startsWith('test/simulator/')));
    const dead = sources.filter((file) => {
      if (inProgram.has(file)) return false;
      if (folderOf(file) === 'kernels') return !inKernelTests.has(file);
      return folderOf(file) !== 'simulator' || !inSimulations.has(file);
    });
    assert.equal(dead, []);
  });

  test('every source folder has a mirror among the tests', () => {
    const missing = [...new Set(sources.map(folderOf))].filter(
      (folder) => !tracked.some((file) => file.startsWith(`test/${folder}/`)),
    );
    assert.equal(missing, []);
  });

  test('tests are registered through the suite that cannot be forgotten', () => {
    const direct = tracked.filter(
      (file) => /^test\/.*\.test\.ts$/.test(file) && read(file).includes(`from '${'uvu'}'`),
    );
    assert.equal(direct, []);
  });

  test('no unfinished words, machine paths or download addresses are tracked', () => {
    const unfinished = /\b(TODO|FIXME)\b/;
    const itself = 'test/architecture/structure.test.ts';
    for (const file of tracked.filter((each) => /\.(ts|mjs|json|md|yaml)$/.test(each) && each !== itself)) {
      const text = read(file);
      assert.not.match(text, unfinished, file);
      assert.not.match(text, /"resolved": "http/, file);
      assert.not.match(text, /(^|[^\w.])\/(work|root|home)\//, file);
    }
  });
});

/** The entry and what it imports at once; what it imports when a command needs it is left out. */
function loadedAtStart(outputs: Readonly<Record<string, Output>>): string[] {
  const loaded = new Set(['dist/paceline.mjs']);
  for (const output of loaded) {
    for (const { path, kind } of outputs[output]?.imports ?? []) {
      if (kind === 'import-statement' && outputs[path]) loaded.add(path);
    }
  }
  return [...loaded];
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

function folderOf(file: string): string {
  return file.split('/')[1] as string;
}

function layerOf(folder: string): number {
  return layers.findIndex((layer) => layer.includes(folder));
}

function importsOf(file: string): string[] {
  const specifiers = [...read(file).matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(
    (match) => match[1] as string,
  );
  return specifiers.map((specifier) => relative(root, join(root, dirname(file), specifier)));
}

/** The files that these import, directly or through others, and these themselves. */
function reachableFrom(files: readonly string[]): Set<string> {
  const reached = new Set(files);
  // A set hands out what is added to it while it is walked.
  for (const file of reached) {
    for (const target of importsOf(file)) if (existsSync(join(root, target))) reached.add(target);
  }
  return reached;
}

/** Number of imports in a module: section 2 of the binary format. */
function importSection(bytes: Buffer): number {
  let at = 8;
  while (at < bytes.length) {
    const id = bytes[at++] as number;
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] as number;
      size |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) break;
    }
    if (id === 2) return bytes[at] as number;
    at += size;
  }
  return 0;
}
