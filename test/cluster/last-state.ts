import { kubectl } from './kubectl.ts';

const questions: readonly (readonly string[])[] = [
  ['get', 'pods', '--all-namespaces', '-o', 'wide'],
  ['get', 'isvc,ksvc,inferencepolicies', '--all-namespaces'],
  ['-n', 'paceline-system', 'logs', 'deployment/paceline-controller', '--all-pods', '--prefix', '--tail=60'],
];

/** What runs in the cluster and what the controller said last, for whoever reads of a failure. Nothing in it throws. */
export async function lastState(): Promise<string> {
  const answers: string[] = [];
  for (const words of questions) {
    const said = await kubectl(words).catch((error: Error) => error.message);
    answers.push(`--- kubectl ${words.join(' ')}\n${said.trim()}`);
  }
  return answers.join('\n');
}
