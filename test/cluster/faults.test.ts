// What breaks around services that are under load, in both modes: beside each stands the same model with KServe's own
// batcher, and nothing may be lost that this one serves.
import { setTimeout as pause } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { run } from './command.ts';
import { apiServer } from './control-plane.ts';
import { kill, start } from './daemons.ts';
import { containerd } from './images.ts';
import { rolledOut } from './kubectl.ts';
import { applyAsUser, isReady, kubectl, livePods, ready, temporaryNamespace, until } from './support/cluster.ts';
import { figure } from './support/figures.ts';
import { type Ended, OpenLoad } from './support/open-load.ts';
import { installPaceline, systemNamespace } from './support/paceline.ts';
import { hostOf, inferenceService } from './support/services.ts';

const sloMs = 1_000;
const ratePerSecond = 12;
const steadyWithinMs = 15_000;
const watchedMs = 5_000;
const modes = ['Standard', 'Knative'] as const;
type Mode = (typeof modes)[number];
type Name = 'ours' | 'bare';
/** Names of services: a mode's two stand under the same load. */
const nameOf = (mode: Mode, name: Name) => `${name}-${mode.toLowerCase()}`;
const services = modes.flatMap((mode) => [nameOf(mode, 'ours'), nameOf(mode, 'bare')]);
const controllers = 'app.kubernetes.io/component=controller';

suite('faults under load', (test) => {
  const space = { name: '', remove: async () => {} };
  const loads = new Map<string, OpenLoad>();

  test.before(async () => {
    await installPaceline();
    Object.assign(space, await temporaryNamespace('faults'));
    const model = { BASE_MS: 20, SLOPE_MS: 2 };
    const predictor = { minReplicas: 2, maxReplicas: 3 };
    const annotations = { 'paceline.dev/slo': `${sloMs}ms` };
    const batcher = { maxBatchSize: 32, maxLatency: 20 };
    await applyAsUser(
      ...modes.flatMap((mode) => [
        inferenceService(space.name, nameOf(mode, 'ours'), { mode, model, annotations, predictor }),
        inferenceService(space.name, nameOf(mode, 'bare'), { mode, model, predictor: { ...predictor, batcher } }),
      ]),
    );
    for (const mode of modes) {
      for (const service of [nameOf(mode, 'ours'), nameOf(mode, 'bare')]) {
        await ready('isvc', space.name, service);
        const host = hostOf.inferenceService(space.name, service, mode);
        loads.set(service, new OpenLoad(host, `/v1/models/${service}:predict`, { instances: [[1, 2]] }, ratePerSecond));
      }
    }
    await until('all to answer', () => services.every((each) => answered(each, performance.now() - 2_000)), 30_000);
  });
  test.after(async () => {
    for (const load of loads.values()) await load.stop();
    await space.remove();
  });

  function since(service: string, beganMs: number): Ended[] {
    return (loads.get(service)?.ended ?? []).filter(({ atMs }) => atMs >= beganMs);
  }

  function answered(service: string, beganMs: number): boolean {
    const ended = since(service, beganMs);
    return ended.length > ratePerSecond && ended.every(({ status }) => status === 200);
  }

  /**
   * Lets something happen, and compares what was lost of both from its beginning until all has to be steady again.
   *
   * @param held whether what was being answered while it happened counts too.
   */
  async function survive(what: string, happen: () => Promise<void>, held = true): Promise<void> {
    const beganMs = performance.now();
    await happen();
    const happenedMs = performance.now();
    await pause(steadyWithinMs);
    const steadyMs = performance.now();
    await pause(watchedMs);
    const lost = (service: string) =>
      since(service, beganMs).filter(
        ({ status, atMs, tookMs }) => status !== 200 && (held || atMs - tookMs >= happenedMs),
      );
    for (const mode of modes) {
      const ours = lost(nameOf(mode, 'ours'));
      const bare = lost(nameOf(mode, 'bare'));
      figure(`${what}, ${mode}: lost with Paceline and without`, `${ours.length} and ${bare.length}`);
      // Of two counts of the same chance one is larger; where the bare one loses none, neither may we.
      const most = bare.length + 2 * Math.sqrt(bare.length);
      assert.ok(ours.length <= most, `${mode}: ${ours.length} lost: ${JSON.stringify(ours.slice(0, 5))}`);
      const after = since(nameOf(mode, 'ours'), steadyMs);
      const late = after.filter(({ tookMs, status }) => status !== 200 || tookMs > sloMs);
      assert.ok(after.length > (ratePerSecond * watchedMs) / 2000, `${mode}: ${after.length} answers in the end`);
      assert.is(
        late.length,
        0,
        `${mode}: ${late.length} late after ${steadyWithinMs / 1000} s: ${JSON.stringify(late[0])}`,
      );
    }
  }

  test('every controller is killed', async () => {
    await survive('controllers killed', async () => {
      await kubectl(['-n', systemNamespace, 'delete', 'pods', '-l', controllers, '--grace-period=0', '--force']);
    });
  });

  test('the webhooks are down, and a pod goes meanwhile', async () => {
    const scale = (replicas: number) =>
      kubectl(['-n', systemNamespace, 'scale', 'deployment/paceline-controller', `--replicas=${replicas}`]);
    await rolledOut(systemNamespace, ['paceline-controller'], 120);
    await survive('webhooks down', async () => {
      await scale(0);
      await until('no controller', async () => (await livePods(systemNamespace, controllers)).length === 0, 60_000);
      for (const service of services) {
        const [pod] = await livePods(space.name, selectorOf(service));
        await kubectl(['-n', space.name, 'delete', 'pod', pod?.metadata.name ?? '', '--wait=false']);
        const enough = async () => (await livePods(space.name, selectorOf(service))).filter(isReady).length >= 2;
        await until(`two Ready pods of ${service}`, enough, 60_000);
      }
      await scale(2);
    });
    await rolledOut(systemNamespace, ['paceline-controller'], 120);
  });

  test('a companion is killed, and an agent of KServe', async () => {
    // What either was about to answer in that moment goes with it.
    await survive('companion killed', async () => void (await Promise.all(services.map(killAgentOf))), false);
  });

  test('the API server is killed and started again', async () => {
    await survive('API server restarted', async () => {
      await kill(apiServer.name);
      await pause(3_000);
      await start(apiServer);
      await until('the API server', async () => (await kubectl(['get', '--raw', '/readyz'])) === 'ok', 60_000);
    });
  });

  /** Kills the container that batches in one of the service's pods, as the kernel would when memory is short. */
  async function killAgentOf(service: string): Promise<void> {
    const agent = async () => {
      const pods = (await livePods(space.name, selectorOf(service))).filter(isReady);
      const pod = pods.find(({ spec }) => spec.containers.some((each) => each.name === 'agent'));
      return pod?.status.containerStatuses?.find((each) => each.name === 'agent') as
        | { containerID: string }
        | undefined;
    };
    await until(`an agent of ${service}`, async () => (await agent()) !== undefined, 30_000);
    const id = ((await agent())?.containerID ?? '').replace('containerd://', '');
    await run(...containerd('tasks', 'kill', '--signal', 'SIGKILL', id));
  }
});

function selectorOf(service: string): string {
  return `serving.kserve.io/inferenceservice=${service}`;
}
