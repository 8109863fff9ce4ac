import { readFileSync } from 'node:fs';
import type { PatchStep } from '../../src/controller/admission/json-patch.ts';
import type { Container, Pod } from '../../src/controller/admission/pod.ts';
import type { AdmissionRequest } from '../../src/controller/admission/review.ts';

/** What an operator set. */
export const image = {
  image: `registry.example.com/paceline@sha256:${'0'.repeat(64)}`,
  resources: { requests: { cpu: '100m', memory: '160Mi' }, limits: { cpu: '1', memory: '512Mi' } },
};

/** Reviews that a real API server (1.34) sent for pods of KServe 0.17 and Knative 1.23, without managedFields. */
export const recorded = [
  'standard-batcher',
  'standard-batcher.before-kserve',
  'standard-batcher-logger',
  'standard-exec',
  'standard-http',
  'standard-plain',
  'standard-transformer',
  'knative-batcher',
  'knative-batcher.before-kserve',
  'knative-batcher-logger',
  'knative-batcher-logger.before-kserve',
  'knative-plain',
  'ksvc-plain',
] as const;

export type Recorded = (typeof recorded)[number];

export function reviewOf(name: Recorded): { apiVersion: string; kind: string; request: AdmissionRequest } {
  const file = new URL(`../fixtures/admission/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8'));
}

export function podOf(name: Recorded): Pod {
  return reviewOf(name).request.object as unknown as Pod;
}

export function container(pod: Pod, name: string): Container {
  const found = pod.spec.containers.find((each) => each.name === name);
  if (!found) throw new Error(`no container ${name} among ${pod.spec.containers.map((each) => each.name)}`);
  return found;
}

/** The pod with its annotations (undefined takes one out), or one container, changed. */
export function withAnnotations(pod: Pod, annotations: Record<string, string | undefined>): Pod {
  const all = Object.entries({ ...pod.metadata.annotations, ...annotations }).filter((each) => each[1] !== undefined);
  return { ...pod, metadata: { ...pod.metadata, annotations: Object.fromEntries(all) as Record<string, string> } };
}

export function withContainer(pod: Pod, name: string, change: (before: Container) => Container): Pod {
  const containers = pod.spec.containers.map((each) => (each.name === name ? change(each) : each));
  return { ...pod, spec: { ...pod.spec, containers } };
}

/** RFC 6902, as the API server applies it: a path that is not there is an error. */
export function applyPatch(document: unknown, steps: readonly PatchStep[]): unknown {
  const holder = { root: structuredClone(document) };
  for (const step of steps) {
    const keys = ['root', ...step.path.split('/').slice(1)].map((key) => key.replace(/~1/g, '/').replace(/~0/g, '~'));
    const last = keys.pop() as string;
    let at: unknown = holder;
    for (const key of keys) {
      at = (at as Record<string, unknown>)[key];
      if (typeof at !== 'object' || at === null) throw new Error(`${step.path}: no ${key}`);
    }
    if (Array.isArray(at)) applyToArray(at, last, step);
    else applyToObject(at as Record<string, unknown>, last, step);
  }
  return holder.root;
}

function applyToArray(array: unknown[], key: string, step: PatchStep): void {
  const index = key === '-' ? array.length : Number(key);
  const limit = step.op === 'add' ? array.length : array.length - 1;
  if (!(Number.isInteger(index) && index >= 0 && index <= limit)) throw new Error(`${step.path}: no such place`);
  if (step.op === 'add') array.splice(index, 0, structuredClone(step.value));
  else if (step.op === 'remove') array.splice(index, 1);
  else array[index] = structuredClone(step.value);
}

function applyToObject(object: Record<string, unknown>, key: string, step: PatchStep): void {
  if (step.op !== 'add' && !Object.hasOwn(object, key)) throw new Error(`${step.path}: nothing there`);
  if (step.op === 'remove') delete object[key];
  else object[key] = structuredClone(step.value);
}
