import { Command } from 'commander';

interface SwitchFlags {
  readonly all?: boolean;
  readonly namespace?: string;
  readonly kubeconfig?: string;
}

/** `paceline off`: companions pass requests through within seconds, and what was steered is given back. */
export function offCommand(): Command {
  return switchCommand('off', 'let companions pass requests through, and give back what is steered');
}

/** `paceline on`: as it was before `off`. */
export function onCommand(): Command {
  return switchCommand('on', 'undo paceline off');
}

function switchCommand(to: 'on' | 'off', description: string): Command {
  const command = new Command(to)
    .description(description)
    .argument('[name]', 'the InferenceService, or the plain Knative Service')
    .option('--all', 'every service of the namespace, or without --namespace of the cluster')
    .option('-n, --namespace <name>', 'where the service is (default: "default")')
    .option('--kubeconfig <file>', 'otherwise KUBECONFIG, or the service account of the pod');
  return command.action(async (name: string | undefined, flags: SwitchFlags) => {
    if ((name === undefined) === (flags.all !== true)) {
      command.error(`error: say which service to switch ${to}, or --all`, { exitCode: 2 });
    }
    const [{ KubeClient }, { switchServices }] = await Promise.all([
      import('../kube/kube-client.ts'),
      import('../controller/switch.ts'),
    ]);
    const api = KubeClient.load(flags.kubeconfig);
    try {
      const namespace = flags.namespace ?? (name === undefined ? undefined : 'default');
      const switched = await switchServices(api, to, { namespace, name });
      for (const service of switched) console.log(`${service} is switched ${to}`);
      if (switched.length === 0) console.log(`nothing to do: all are ${to} already`);
    } finally {
      api.close();
    }
  });
}
