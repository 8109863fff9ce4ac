import { randomUUID } from 'node:crypto';
import { Command } from 'commander';
import { parseDuration } from '../policy/units.ts';

interface UninstallFlags {
  readonly namespace: string;
  readonly kubeconfig?: string;
  readonly wait: string | true;
  readonly logLevel: string;
}

/** `paceline uninstall`: every object as it was before Paceline's first write; then the controller can be deleted. */
export function uninstallCommand(): Command {
  return new Command('uninstall')
    .description('give back everything that Paceline holds in the cluster, before its manifests are deleted')
    .option('--wait [duration]', 'how long to wait for a running controller to let go', '60s')
    .option('-n, --namespace <name>', 'where the controller runs', process.env.POD_NAMESPACE ?? 'paceline-system')
    .option('--kubeconfig <file>', 'otherwise KUBECONFIG, or the service account of the pod')
    .option('--log-level <level>', 'what is logged', 'info')
    .action(async ({ namespace, kubeconfig, wait, logLevel }: UninstallFlags) => {
      const [{ KubeClient }, { uninstall }, { controllerName }, { systemClock }, { createLog }] = await Promise.all([
        import('../kube/kube-client.ts'),
        import('../controller/uninstall.ts'),
        import('../controller/controller.ts'),
        import('../kube/clock.ts'),
        import('../telemetry/log.ts'),
      ]);
      const api = KubeClient.load(kubeconfig);
      // The clock's timers do not keep a process alive, and waiting for the lease is nothing else.
      const alive = setInterval(() => {}, 1000);
      try {
        const { restored, failed } = await uninstall({
          api,
          clock: systemClock,
          chance: Math.random,
          log: createLog(logLevel),
          lease: { namespace, name: controllerName },
          identity: randomUUID(),
          timeoutMs: parseDuration(wait === true ? '60s' : wait),
        });
        console.log(`${restored} objects are as they were before Paceline`);
        if (failed.length > 0) throw new Error(`not everything could be given back:\n  ${failed.join('\n  ')}`);
      } finally {
        clearInterval(alive);
        api.close();
      }
      // The lease stays ours for ten minutes, in which the controller is deleted.
      process.exit(0);
    });
}
