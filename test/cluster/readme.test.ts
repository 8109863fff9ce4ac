// Runs the commands of README's section on clusters, in their order and as they stand there: only the placeholders have values.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { findK6 } from '../../loadtests/k6-binary.ts';
import { suite } from '../support/suite.ts';
import { programPath } from './build.ts';
import { run } from './command.ts';
import { loadPacelineImage } from './images.ts';
import { kubernetes } from './parts.ts';
import { gatewayPort, nodeAddress, paths, projectRoot } from './settings.ts';
import { get, kubectl, livePods, until } from './support/cluster.ts';
import { figure } from './support/figures.ts';
import { systemNamespace, uninstallPaceline } from './support/paceline.ts';
import { hostOf } from './support/services.ts';

/** Their ways to the cluster are one's own, and so is what the machine may be loaded with and for how long. */
const values: readonly (readonly [RegExp, string])[] = [
  [/\bHOST\b/g, hostOf.inferenceService('default', 'digits', 'Knative')],
  [/\bGATEWAY\b/g, `${nodeAddress}:${gatewayPort}`],
  [/~\/\.kube\/config/g, paths.kubeconfig],
  // That bars are missed, for which k6 has a status of its own, says something of the machine.
  [/^(npm run loadtest -- step .*)$/, '$1 --rate 4 --duration 30s || test $? -eq 99'],
];
/** The cluster's node has the project's image, and loads none from elsewhere. */
const aboutImages = /\bimages?\b|\bskopeo\b/;

interface Policy {
  readonly spec: { readonly mode?: string };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** Commands of the code blocks between one heading and the next. */
function commandsOf(markdown: string, heading: string): string[] {
  const section = markdown.split(/^## /m).find((each) => each.startsWith(`${heading}\n`)) ?? '';
  const blocks = [...section.matchAll(/^```\w*\n(.*?)^```/gms)].map((match) => match[1] as string);
  return blocks.flatMap((block) => block.trim().split('\n')).filter((line) => line !== '' && !line.startsWith('#'));
}

const noK6 = await findK6().then(
  () => undefined,
  (error: Error) => error.message,
);

suite("README's section on clusters", (test) => {
  const all = commandsOf(readFileSync(join(projectRoot, 'README.md'), 'utf8'), 'On a cluster');
  const commands = all.filter((command) => !aboutImages.test(command));
  const said = new Map<string, string>();

  test.before(async () => {
    await loadPacelineImage();
    const installed = await kubectl(['get', 'namespace', systemNamespace, '--ignore-not-found', '-o', 'name']);
    if (installed !== '') await uninstallPaceline();
  });
  test.after(async () => {
    await kubectl(['-n', 'default', 'delete', 'isvc', 'digits', '--ignore-not-found', '--timeout=60s']);
  });

  /** Runs all commands up to the one that matches, each once, in their order. */
  async function runUntil(last: RegExp): Promise<string> {
    const at = commands.findIndex((command) => last.test(command));
    assert.ok(at >= 0, `README has no ${last}`);
    for (const command of commands.slice(0, at + 1)) {
      if (said.has(command)) continue;
      const isLoad = command.startsWith('npm run loadtest');
      if (isLoad && noK6 !== undefined) {
        console.log(`skip ${command}: ${noK6}`);
        said.set(command, '');
        continue;
      }
      const filled = values.reduce((text, [pattern, value]) => text.replace(pattern, value), command);
      const began = Date.now();
      const path = `${join(programPath(kubernetes, 'kubectl'), '..')}:${process.env.PATH}`;
      said.set(
        command,
        await run('bash', ['-c', filled], {
          cwd: projectRoot,
          env: { ...process.env, PATH: path, KUBECONFIG: paths.kubeconfig },
        }),
      );
      figure(command.slice(0, 60), (Date.now() - began) / 1000, 's');
    }
    return said.get(commands[at] as string) as string;
  }

  test('lint finds nothing wrong with the sample, and the service is Ready', async () => {
    await runUntil(/^kubectl wait .*inferenceservice\/digits/);
  });

  test('its pod has the companion, which answers, and the policy says what was decided and why', async () => {
    const [pod] = await livePods('default', 'serving.kserve.io/inferenceservice=digits');
    assert.is(pod?.metadata.labels?.['paceline.dev/companion'], 'true');
    assert.equal(JSON.parse(await runUntil(/^curl /)), { predictions: [7] });
    await until(
      'a plan',
      async () => {
        const { status } = await get<Policy>('inferencepolicy', 'default', 'digits');
        return status?.conditions?.some((each) => each.type === 'Planned' && each.status === 'True') === true;
      },
      30_000,
    );
    assert.match(await runUntil(/^kubectl get plp/), /digits/);
    await runUntil(/^kubectl describe/);
  });

  test('off and on are told to the policy, and the service serves on', async () => {
    const modeOf = async () => (await get<Policy>('inferencepolicy', 'default', 'digits')).spec.mode;
    await runUntil(/paceline off/);
    assert.is(await modeOf(), 'off');
    await runUntil(/paceline on/);
    assert.is.not(await modeOf(), 'off');
  });

  test('a step of load is measured', async () => {
    const report = await runUntil(/^npm run loadtest -- step/);
    if (noK6 === undefined) assert.match(report, /^report: .*report\.html/m);
  });

  test('it is taken away, and nothing of ours is left on what stays', async () => {
    await runUntil(/^kubectl delete /);
    assert.is(said.size, commands.length, 'every command was run');
    assert.is(await kubectl(['get', 'namespace', systemNamespace, '--ignore-not-found', '-o', 'name']), '');
    const { metadata } = await get<object>('isvc', 'default', 'digits');
    assert.is(metadata.annotations?.['paceline.dev/original'], undefined);
  });
});
