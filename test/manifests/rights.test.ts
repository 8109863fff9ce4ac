// Least privilege, read off the source: each right of the controller is one that some call needs, and no call lacks one.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { objectsOf } from '../../scripts/manifests/charts.ts';
import { kinds, type ResourceKind } from '../../src/kube/objects.ts';
import { suite } from '../support/suite.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const source = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  // Options have kinds of another sort.
  .filter((file) => /^(controller|kube)\/.*\.ts$/.test(file) && !file.endsWith('-options.ts'))
  .map((file) => readFileSync(join(root, 'src', file), 'utf8'))
  .join('\n');

type KindName = keyof typeof kinds;

/** Calls whose kind the source has in a variable. */
const byVariable: readonly (readonly [KindName, verb: string])[] = [
  // Admission asks for the service of a pod, of either kind.
  ['inferenceService', 'get'],
  ['knativeService', 'get'],
  // The authority is published in both configurations, and uninstalling takes the webhooks out.
  ['mutatingWebhook', 'get'],
  ['mutatingWebhook', 'patch'],
  ['validatingWebhook', 'get'],
  ['validatingWebhook', 'patch'],
  // Applying makes what is not there; everything else that is applied is there.
  ['route', 'create'],
];

/** Asked for only where somebody installs without these manifests, which make both Secrets. */
const notGranted: readonly (readonly [KindName, verb: string])[] = [['secret', 'create']];

const verbOf: Readonly<Record<string, string>> = { apply: 'patch', mergePatch: 'patch', replace: 'update' };

function rightOf(kind: KindName, verb: string, subresource = ''): string {
  const { group, plural } = kinds[kind] as ResourceKind;
  return `${verb} ${group}/${plural}${subresource}`;
}

function asked(text: string): Set<string> {
  const rights = new Set<string>();
  for (const match of text.matchAll(
    /\bapi\.(get|list|create|apply|mergePatch|replace|delete|scale)\(\s*kinds\.(\w+)/g,
  )) {
    const [, method, name] = match as unknown as [string, string, KindName];
    if (method === 'scale') {
      rights.add(rightOf(name, 'patch', '/scale'));
      continue;
    }
    const call = text.slice(match.index, text.indexOf(';', match.index));
    rights.add(rightOf(name, verbOf[method] ?? method, call.includes("subresource: 'status'") ? '/status' : ''));
  }
  for (const [, name] of text.matchAll(/\blistAll\([\w.#]+, kinds\.(\w+)/g))
    rights.add(rightOf(name as KindName, 'list'));
  // What an informer is told to follow.
  for (const [, name] of text.matchAll(/\bkind: kinds\.(\w+)/g)) {
    rights.add(rightOf(name as KindName, 'list'));
    rights.add(rightOf(name as KindName, 'watch'));
  }
  for (const [name, verb] of byVariable) rights.add(rightOf(name, verb));
  for (const [name, verb] of notGranted) rights.delete(rightOf(name, verb));
  return rights;
}

function granted(): Set<string> {
  const rules = ['cluster-role.yaml', 'role.yaml']
    .flatMap((file) => objectsOf(readFileSync(join(root, 'manifests/base', file), 'utf8')))
    .flatMap((object) => ((object as unknown as { rules?: Rule[] }).rules ?? []) as Rule[]);
  return new Set(
    rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
      ),
    ),
  );
}

suite("the controller's rights and what it asks for", (test) => {
  test('no right is given that nothing asks for', () => {
    const needed = asked(source);
    assert.equal([...granted()].filter((right) => !needed.has(right)).sort(), []);
  });

  test('nothing is asked for without a right to it', () => {
    const rights = granted();
    assert.equal([...asked(source)].filter((right) => !rights.has(right)).sort(), []);
  });
});
