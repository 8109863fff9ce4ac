import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { program } from '../../src/cli/program.ts';
import { annotationSpecs } from '../../src/policy/annotations.ts';
import { suite } from '../support/suite.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const scripts: Record<string, string> = JSON.parse(read('package.json')).scripts;

/** Subcommands of kubectl that documents use, with what they name by a file or folder of ours. */
const kubectlWords = /^(?:apply|delete|wait|get|describe|edit|rollout status)$/;

/** Commands in code blocks and in code type, one by one. */
function commandsOf(markdown: string): string[] {
  const blocks = [...markdown.matchAll(/```\w*\n(.*?)```/gs)].flatMap((match) => (match[1] as string).split('\n'));
  const inline = [...markdown.replace(/```.*?```/gs, '').matchAll(/`([^`\n]+)`/g)].map((match) => match[1] as string);
  return [...blocks, ...inline]
    .flatMap((line) => line.split('&&'))
    .map((line) => line.trim())
    .map((line) => line.replace(/^npx paceline\b/, 'paceline'))
    .filter((line) => /^(?:npm|node|paceline|curl|kubectl|helm|npx)(?:\s|$)/.test(line));
}

/** What is wrong with a command, or nothing. */
function wrongWith(command: string): string | undefined {
  const words = command.split(/\s+/);
  if (words[0] === 'curl') {
    const file = /@(\S+)/.exec(command)?.[1];
    return file === undefined || existsSync(join(root, file)) ? undefined : `there is no ${file}`;
  }
  if (words[0] === 'kubectl' || words[0] === 'helm') return wrongWithCluster(words);
  if (words[0] === 'npx') return `npx runs ${words[1]}`;
  if (words[0] === 'npm') {
    if (words[1] === 'ci') return undefined;
    const name = words[1] === 'run' ? words[2] : words[1];
    const script = scripts[name as string];
    if (script === undefined) return `package.json has no script ${name}`;
    const after = command.split(' -- ')[1];
    const started = script.replace(/^exec /, '');
    return started.startsWith('node dist/paceline.mjs') ? wrongWith(`${started} ${after ?? ''}`.trim()) : undefined;
  }
  const [name = '--help', ...rest] = words.slice(words[0] === 'node' ? 2 : 1);
  if (words[0] === 'node' && words[1] !== 'dist/paceline.mjs') return `node runs ${words[1]}`;
  if (name === '--help' || name === '--version') return undefined;
  const known = program().commands.find((each) => each.name() === name);
  if (!known) return `there is no command ${name}`;
  const flags = rest.filter((word) => word.startsWith('--')).map((word) => word.split('=', 1)[0]);
  const unknown = flags.filter((flag) => flag !== '--help' && !known.options.some((option) => option.long === flag));
  return unknown.length > 0 ? `${name} has no ${unknown.join(', ')}` : undefined;
}

function wrongWithCluster([tool, ...words]: string[]): string | undefined {
  if (tool === 'helm') {
    if (words[0] === 'uninstall') return undefined;
    const chart = words[0] === 'install' ? words[2] : undefined;
    return chart && existsSync(join(root, chart, 'Chart.yaml')) ? undefined : `helm installs ${chart}`;
  }
  if (words[0] === '-n') words.splice(0, 2);
  const verb = words[0] === 'rollout' ? words.slice(0, 2).join(' ') : (words[0] ?? '');
  if (!kubectlWords.test(verb)) return `kubectl does ${verb}`;
  for (const [at, word] of words.entries()) {
    const path = words[at + 1] ?? '';
    if (word === '-k' && !existsSync(join(root, path, 'kustomization.yaml'))) return `there is no folder ${path}`;
    if (word === '-f' && !existsSync(join(root, path))) return `there is no file ${path}`;
  }
  return undefined;
}

suite('README', (test) => {
  test('commands that do not exist are found', () => {
    for (const wrong of [
      'npm run tests',
      'npm start -- --prot 3',
      'node dist/paceline.mjs serve',
      'node dist/paceline.mjs companion --slo 200ms --tune',
      'node server.js',
      'curl -d @nothing.json http://127.0.0.1:1',
      'kubectl apply -k manifests/nothing',
      'kubectl apply -f nothing.yaml',
      'kubectl create namespace a',
      'helm install paceline manifests',
      'paceline off --everything',
      'npx serve',
    ]) {
      assert.ok(wrongWith(wrong), wrong);
    }
  });

  for (const file of [
    'README.md',
    'CHANGELOG.md',
    'docs/configuration.md',
    'docs/cluster.md',
    'docs/controller.md',
    'docs/annotations.md',
    'test/cluster/README.md',
  ]) {
    test(`every command in ${file} exists, with its flags`, () => {
      const commands = commandsOf(read(file));
      assert.ok(commands.length > 0);
      for (const command of commands) assert.is(wrongWith(command), undefined, command);
    });
  }

  test('the commands that matter most are there', () => {
    const readme = read('README.md');
    for (const command of [
      'npm ci && npm start',
      'npm ci && npm test',
      'npm run demo',
      'kubectl apply --server-side -k manifests/crds',
      'kubectl apply --server-side -k manifests/base',
      'kubectl apply -f manifests/samples/digits-knative.yaml',
      'kubectl apply -k manifests/uninstall',
    ]) {
      assert.ok(readme.includes(command), command);
    }
  });

  test('the table of annotations has each one, and no other', () => {
    const [, table] = read('README.md').split('| annotation ');
    const rows = (table ?? '').split('\n\n')[0]?.split('\n').slice(2) ?? [];
    const named = rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, key]) => key));
    assert.equal(named.sort(), annotationSpecs.map(({ name }) => name).sort());
  });

  test('the map shows folders that exist, and every folder of the source', () => {
    const rows = [...read('README.md').matchAll(/^\| `([^`]+\/)` +\|/gm)].map((match) => match[1] as string);
    for (const folder of rows) assert.ok(existsSync(join(root, folder)), folder);
    const sources = JSON.parse(read('dist/meta.json')) as { inputs: Record<string, unknown> };
    const used = new Set(Object.keys(sources.inputs).flatMap((file) => /^src\/\w+\//.exec(file) ?? []));
    for (const folder of used) assert.ok(rows.includes(folder), folder);
  });
});
