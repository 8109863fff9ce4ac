import { systemClock } from '../kube/clock.ts';
import { KubeClient } from '../kube/kube-client.ts';
import { createLog } from '../telemetry/log.ts';
import { Controller } from './controller.ts';
import type { ControllerOptions } from './controller-options.ts';
import { leaderParts } from './parts.ts';

/** Runs the controller until it is told to stop. */
export async function runController(options: ControllerOptions): Promise<void> {
  const log = createLog(options.logLevel);
  const api = KubeClient.load(options.kubeconfig || undefined);
  const failed = (error: unknown) => {
    log.error(
      { code: 'PL_CONTROLLER', detail: String(error) },
      'a part failed: this process ends, another one takes over',
    );
    process.exit(1);
  };
  const parts = { api, log, clock: systemClock, chance: Math.random, parts: leaderParts(options), failed };
  const controller = new Controller(options, parts);
  let stopping = false;
  const stop = async (event: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ event }, 'stopping');
    await controller.stop();
    api.close();
    process.exit(0);
  };
  for (const event of ['SIGTERM', 'SIGINT'] as const) process.on(event, () => void stop(event));
  // A promise that nobody waits for must not take the webhooks down with it.
  process.on('unhandledRejection', (error) => {
    log.error({ code: 'PL_CONTROLLER', detail: String(error) }, 'a promise failed that nobody waited for');
  });
  const ports = await controller.start();
  log.info({ ...ports, namespace: options.namespace }, 'the controller serves its webhooks');
}
