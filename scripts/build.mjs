// Builds everything that ships: the kernels in three flavours each, and the bundle. The same sources give the same bytes.
import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const root = fileURLToPath(new URL('..', import.meta.url));
const flavours = ['simd', 'scalar', 'debug'];

if (isMainThread) await main();
else await compileKernel(workerData.kernel, workerData.flavour);

async function main() {
  const started = Date.now();
  await mkdir(join(root, 'dist/wasm'), { recursive: true });
  await buildKernels();
  await bundle();
  await cp(join(root, 'src/digits/weights'), join(root, 'dist/digits'), { recursive: true });
  console.log(`built dist/ in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/** Compiles each kernel whose sources or compiler settings changed since the last build, two at a time. */
async function buildKernels() {
  const jobs = [];
  const kernels = (await filesBelow(join(root, 'assembly')))
    .filter((file) => file.endsWith('/index.ts'))
    .map((file) => basename(dirname(file)))
    .sort();
  for (const kernel of kernels) {
    const stamp = await stampOf(kernel);
    const stampFile = join(root, `dist/wasm/${kernel}.stamp`);
    if ((await readFile(stampFile, 'utf8').catch(() => '')) === stamp) continue;
    await rm(stampFile, { force: true });
    const group = flavours.map((flavour) => ({ kernel, flavour }));
    jobs.push(...group);
    let left = group.length;
    for (const job of group) job.done = async () => --left === 0 && (await writeFile(stampFile, stamp));
  }
  const queue = [...jobs];
  const worker = async () => {
    for (let job = queue.shift(); job; job = queue.shift()) {
      console.log(`compiling ${job.kernel} (${job.flavour})`);
      await runWorker({ kernel: job.kernel, flavour: job.flavour });
      await job.done();
    }
  };
  await Promise.all([worker(), worker()]);
}

function runWorker(data) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: data });
    worker.on('message', (message) => reject(new Error(message)));
    worker.on('error', reject);
    worker.on('exit', resolve);
  });
}

async function compileKernel(kernel, flavour) {
  const { default: asc } = await import('assemblyscript/asc');
  const { error, stderr } = await asc.main([
    `assembly/${kernel}/index.ts`,
    '--baseDir',
    root,
    '--config',
    'asconfig.json',
    '--target',
    flavour,
    '--outFile',
    `dist/wasm/${kernel}.${flavour}.wasm`,
  ]);
  if (error) parentPort.postMessage(`${kernel} (${flavour}): ${error.message}\n${stderr.toString()}`);
}

async function stampOf(kernel) {
  const hash = createHash('sha256');
  const files = [
    join(root, 'asconfig.json'),
    join(root, 'scripts/build.mjs'),
    join(root, 'node_modules/assemblyscript/package.json'),
    ...(await filesBelow(join(root, 'assembly/abort'))),
    ...(await filesBelow(join(root, 'assembly', kernel))),
  ];
  for (const file of files.sort())
    hash
      .update(relative(root, file))
      .update('\0')
      .update(await readFile(file));
  return hash.digest('hex');
}

async function filesBelow(directory) {
  const entries = await readdir(directory, { recursive: true });
  const paths = entries.map((entry) => join(directory, entry));
  const kept = await Promise.all(paths.map(async (path) => ((await stat(path)).isFile() ? path : null)));
  return kept.filter((path) => path !== null);
}

async function bundle() {
  const { build } = await import('esbuild');
  await rm(join(root, 'dist/chunks'), { recursive: true, force: true });
  const result = await build({
    absWorkingDir: root,
    entryPoints: { paceline: 'src/cli/main.ts' },
    outdir: 'dist',
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    sourcemap: true,
    sourcesContent: false,
    metafile: true,
    legalComments: 'none',
    logLevel: 'warning',
    // Some dependencies are CommonJS and call require() for Node's own modules.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  await writeFile(join(root, 'dist/meta.json'), JSON.stringify(result.metafile));
}
