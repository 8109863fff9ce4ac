import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

/** A Kubernetes object as it is written in a manifest, with the fields that are looked at here. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  data?: Record<string, string>;
  [field: string]: unknown;
}

/** Reads every object of YAML text. */
export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((object): object is Manifest => object !== null && typeof object === 'object' && 'kind' in object);
}

/** Reads every object of files, and of the .yaml files directly in folders. */
export function readManifests(...paths: string[]): Manifest[] {
  return paths.flatMap((path) => {
    const files = statSync(path).isDirectory()
      ? readdirSync(path)
          .filter((name) => name.endsWith('.yaml'))
          .sort()
          .map((name) => join(path, name))
      : [path];
    return files.flatMap((file) => parseManifests(readFileSync(file, 'utf8')));
  });
}

/** Replaces in every text of a value, at any depth. */
export function replaceTexts<T>(value: T, replace: (text: string) => string): T {
  if (typeof value === 'string') return replace(value) as T;
  if (Array.isArray(value)) return value.map((element) => replaceTexts(element, replace)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, element]) => [key, replaceTexts(element, replace)])) as T;
}

/** All objects as one, which kubectl takes. */
export function listOf(objects: readonly unknown[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
}
