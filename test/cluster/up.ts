import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.ts';
import { makeCertificates, pki } from './certificates.ts';
import { progress, until } from './command.ts';
import { apiServer, dnsObjects, firstDaemons, otherDaemons, writeConfig } from './control-plane.ts';
import { logOf, start } from './daemons.ts';
import { down } from './down.ts';
import { loadedImages, loadPacelineImage, loadProgramImages, writeProgramImages } from './images.ts';
import { knativeInstall } from './install/knative.ts';
import { kserveInstall, withAuthority } from './install/kserve.ts';
import { apply, kubectl, rolledOut } from './kubectl.ts';
import { initProcess, makeNamespaces } from './namespaces.ts';
import { partsOf } from './parts.ts';
import { type Choice, includes, networkNamespacePath, paths } from './settings.ts';

const choiceFile = join(paths.run, 'choice.json');
const knativeDeployments = ['controller', 'webhook', 'autoscaler', 'activator'];
const readyTimeoutSeconds = 180;

/** What the running cluster was started as; undefined when none runs. */
export function running(): Choice | undefined {
  if (!initProcess() || !existsSync(choiceFile)) return undefined;
  return JSON.parse(readFileSync(choiceFile, 'utf8')) as Choice;
}

/**
 * Brings the cluster up to a level. Does only what is not done yet: builds nothing that is built, starts nothing that
 * runs, and restarts what has died.
 *
 * @returns how many programs were built and started.
 * @throws Error that says which step failed, with the last lines of what it said.
 */
export async function up(choice: Choice): Promise<{ built: number; started: number }> {
  const current = running();
  const otherLine = current && includes(current.level, 'knative') && current.knative !== choice.knative;
  if (otherLine && includes(choice.level, 'knative')) {
    throw new Error(
      `Knative ${current.knative} is running: npm run cluster:down, then ${choice.knative} can be started`,
    );
  }
  let built = 0;
  for (const part of partsOf(choice.level, choice.knative)) if (await build(part)) built++;
  writeProgramImages(choice);
  if (!initProcess()) {
    await down();
    mkdirSync(paths.run, { recursive: true });
    mkdirSync(paths.logs, { recursive: true });
    await makeNamespaces();
    await makeCertificates();
    writeConfig();
  }
  // Said before it is done: a start that fails in the middle must not be continued with another line of Knative.
  const level = current && includes(current.level, choice.level) ? current.level : choice.level;
  writeFileSync(choiceFile, JSON.stringify({ ...choice, level }));
  const started = await startKubernetes(choice);
  // Loading takes about as long as the API server needs for the definitions, and mostly other resources.
  const loading = loadProgramImages(choice, 'others');
  loading.catch(() => {});
  if (includes(choice.level, 'knative')) await once('knative', () => installKnative(choice, loading));
  await loading;
  if (includes(choice.level, 'kserve')) await once('kserve', installKserve);
  await loadPacelineImage();
  return { built, started };
}

async function startKubernetes(choice: Choice): Promise<number> {
  let started = 0;
  const startAll = async (list: typeof otherDaemons) => {
    for (const daemon of list) if (await start(daemon)) started++;
  };
  await startAll([...firstDaemons, apiServer]);
  await explained('containerd', () => until('containerd', async () => (await loadedImages()) !== undefined, 30_000));
  await explained('kube-apiserver', () =>
    until('the API server', async () => (await kubectl(['get', '--raw', '/readyz'])) === 'ok', 60_000),
  );
  if (started > 0) progress('API server ready');
  // The kubelet must find the pods' pause image.
  await loadProgramImages(choice, 'basic');
  await startAll(otherDaemons);
  await once('dns', () => apply(dnsObjects()));
  await explained('kubelet', () =>
    until(
      'the node',
      async () => (await kubectl(['wait', '--for=condition=Ready', 'node/node1', '--timeout=1s'])).includes('met'),
      60_000,
    ),
  );
  if (started > 0) progress('node ready');
  return started;
}

async function installKnative(choice: Choice, imagesLoaded: Promise<void>): Promise<void> {
  const install = await knativeInstall(choice.knative);
  await apply(install.definitions);
  await established();
  await apply(install.settings);
  await imagesLoaded;
  await apply(install.workloads);
  await rolledOut('knative-serving', knativeDeployments, readyTimeoutSeconds);
  progress(`Knative Serving ${choice.knative} ready`);
}

async function installKserve(): Promise<void> {
  const install = await kserveInstall();
  const authority = readFileSync(join(pki, 'ca.crt'), 'utf8');
  const trusted = (objects: typeof install.workloads) => objects.map((object) => withAuthority(object, authority));
  const base64 = (file: string) => readFileSync(join(pki, file)).toString('base64');
  await apply([
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kserve' } },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      metadata: { name: 'kserve-webhook-server-cert', namespace: 'kserve' },
      data: { 'tls.crt': base64('kserve.crt'), 'tls.key': base64('kserve.key'), 'ca.crt': base64('ca.crt') },
    },
    ...trusted(install.definitions),
  ]);
  await established();
  await apply(trusted(install.workloads));
  await rolledOut('kserve', ['kserve-controller-manager'], readyTimeoutSeconds);
  // The manager is ready before its webhooks answer.
  const trial = JSON.stringify({
    apiVersion: 'serving.kserve.io/v1beta1',
    kind: 'InferenceService',
    metadata: { name: 'trial', namespace: 'default' },
    spec: { predictor: { containers: [{ name: 'kserve-container', image: 'kind.local/model:1' }] } },
  });
  await until(
    "KServe's webhooks",
    async () => (await kubectl(['create', '--dry-run=server', '-f', '-'], trial)) !== '',
    60_000,
  );
  progress('KServe ready');
}

async function established(): Promise<void> {
  const wait = ['wait', '--for=condition=Established', '--all', 'customresourcedefinitions', '--timeout=60s'];
  // A definition that has no conditions yet makes kubectl give up instead of waiting.
  await until('the definitions', async () => (await kubectl(wait)) !== '', 60_000);
}

/** Does a step once in a life of the cluster. */
async function once(step: string, work: () => Promise<void>): Promise<void> {
  const mark = join(paths.run, `${step}.done`);
  if (existsSync(mark)) return;
  await work();
  writeFileSync(mark, '');
}

/** Adds the end of a program's log to what went wrong with it. */
async function explained(name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const log = readFileSync(logOf(name), 'utf8').trim().split('\n').slice(-15).join('\n');
    throw new Error(`${(error as Error).message}\n--- last lines of ${logOf(name)}\n${log}`);
  }
}

/** What a person needs to use the running cluster. */
export function howToUse(): string {
  return [
    `export KUBECONFIG=${paths.kubeconfig}`,
    `alias kubectl='nsenter --net=${networkNamespacePath} ${join(paths.bin, 'kubernetes/kubectl')}'`,
    `ingress: nsenter --net=${networkNamespacePath} curl -H 'Host: NAME' http://10.99.0.1/`,
  ].join('\n');
}
