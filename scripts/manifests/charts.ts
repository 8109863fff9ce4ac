import { fileURLToPath } from 'node:url';
import { parseAllDocuments, stringify } from 'yaml';
import manifest from '../../package.json' with { type: 'json' };
import { chartTexts, crdChartTexts } from './chart-texts.ts';
import type { KubernetesTools } from './tools.ts';

/** A Kubernetes object as YAML holds it. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; annotations?: Record<string, string> };
  readonly [field: string]: unknown;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const written = '# Written by `npm run manifests` from the kustomize manifests: change it there.\n';
/** The value that chooses each overlay. */
export const overlays = { mesh: 'mesh', 'cert-manager': 'certManager', prometheus: 'prometheus' } as const;

/** What `kubectl kustomize` makes of a folder below manifests/. */
export function kustomized(tools: KubernetesTools, folder: string): KubernetesObject[] {
  return objectsOf(tools.kubectl('kustomize', `${root}manifests/${folder}`));
}

/** The objects of a YAML stream. */
export function objectsOf(text: string): KubernetesObject[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as KubernetesObject | null)
    .filter((object) => object !== null);
}

/** Kind and name: no two objects of ours share both. */
export function keyOf({ kind, metadata }: KubernetesObject): string {
  return `${kind}/${metadata.name}`;
}

/** All files of both charts, by their place in the repository. The kustomize manifests are the one source of truth. */
export function charts(tools: KubernetesTools): Record<string, string> {
  const files: Record<string, string> = {};
  const put = (chart: string, texts: Readonly<Record<string, string>>) => {
    for (const [path, text] of Object.entries(texts)) files[`manifests/charts/${chart}/${path}`] = text;
  };
  put('paceline-crds', crdChartTexts(manifest.version));
  for (const crd of kustomized(tools, 'crds')) {
    // Removing the chart must not remove everybody's policies.
    const kept = withAnnotations(crd, { 'helm.sh/resource-policy': 'keep' });
    put('paceline-crds', { [`templates/${crd.metadata.name}.yaml`]: written + textOf(kept) });
  }
  put('paceline', chartTexts(manifest.version));
  put('paceline', templates(tools));
  return files;
}

function templates(tools: KubernetesTools): Record<string, string> {
  const base = byKey(kustomized(tools, 'base'));
  // Helm makes the namespace it installs into.
  base.delete('Namespace/paceline-system');
  const changed = new Map<string, string>();
  const texts: Record<string, string> = {};
  for (const [key, object] of base) texts[fileOf(key)] = textOf(configurable(object));
  for (const [folder, value] of Object.entries(overlays)) {
    const overlay = byKey(kustomized(tools, `overlays/${folder}`));
    overlay.delete('Namespace/paceline-system');
    for (const key of new Set([...base.keys(), ...overlay.keys()])) {
      const before = base.get(key);
      const after = overlay.get(key);
      if (before && after && JSON.stringify(before) === JSON.stringify(after)) continue;
      // A choice between two texts cannot express two overlays of one object.
      if (changed.has(key)) throw new Error(`${key} is changed by ${changed.get(key)} and by ${folder}`);
      changed.set(key, folder);
      const [yes, no] = [after, before].map((object) => (object ? textOf(configurable(object)) : ''));
      texts[fileOf(key)] = choose(`.Values.${value}.enabled`, yes ?? '', no ?? '');
    }
  }
  const policy = fileOf('NetworkPolicy/paceline-controller');
  texts[policy] = choose('.Values.networkPolicy.enabled', texts[policy] as string, '');
  for (const job of kustomized(tools, 'uninstall')) {
    const hook = withAnnotations(job, {
      'helm.sh/hook': 'pre-delete',
      'helm.sh/hook-delete-policy': 'before-hook-creation,hook-succeeded',
    });
    texts['templates/uninstall.yaml'] = textOf(configurable(hook));
  }
  return Object.fromEntries(Object.entries(texts).map(([path, text]) => [path, written + text]));
}

function byKey(objects: readonly KubernetesObject[]): Map<string, KubernetesObject> {
  return new Map(objects.map((object) => [keyOf(object), object]));
}

function fileOf(key: string): string {
  return `templates/${key.toLowerCase().replace('/', '-')}.yaml`;
}

function choose(condition: string, yes: string, no: string): string {
  if (no === '') return `{{- if ${condition} }}\n${yes}{{- end }}\n`;
  if (yes === '') return `{{- if not ${condition} }}\n${no}{{- end }}\n`;
  return `{{- if ${condition} }}\n${yes}{{- else }}\n${no}{{- end }}\n`;
}

function withAnnotations(object: KubernetesObject, annotations: Record<string, string>): KubernetesObject {
  return {
    ...object,
    metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, ...annotations } },
  };
}

/** What a chart's user can set, by the mark that stands for it while the object is YAML. */
const settings: Readonly<Record<string, string>> = {
  '@@image@@': '"{{ include "paceline.image" . }}"',
  '@@logLevel@@': '{{ .Values.logLevel | quote }}',
  '@@replicas@@': '{{ .Values.replicas }}',
};
const resourcesMark = '@@resources@@';

/** The object with marks in place of what values.yaml holds. */
function configurable(object: KubernetesObject): KubernetesObject {
  const copy = structuredClone(object) as unknown as Settable;
  if (object.kind === 'ConfigMap' && object.metadata.name === 'paceline-config') {
    Object.assign(copy.data ?? {}, { PACELINE_LOG_LEVEL: '@@logLevel@@' });
  }
  if (object.kind === 'Deployment' || object.kind === 'Job') {
    const [container] = copy.spec?.template?.spec?.containers ?? [];
    if (!container) throw new Error(`${keyOf(object)} has no container`);
    container.image = '@@image@@';
    if (object.kind === 'Deployment' && copy.spec) {
      copy.spec.replicas = '@@replicas@@';
      container.resources = resourcesMark;
    }
  }
  return copy as unknown as KubernetesObject;
}

interface Settable {
  data?: Record<string, string>;
  spec?: {
    replicas?: unknown;
    template?: { spec?: { containers?: { image?: unknown; resources?: unknown }[] } };
  };
}

/** An object as a template: braces of its own kept from Helm, the namespace that of the release, marks filled in. */
function textOf(object: KubernetesObject): string {
  const escaped = mapStrings(object, (text) =>
    text.replaceAll('{{', '{{ `{{` }}').replaceAll('paceline-system', '{{ .Release.Namespace }}'),
  );
  // Helm reads YAML 1.1, where more words than today have to be quoted.
  let text = stringify(escaped, { lineWidth: 0, version: '1.1' });
  for (const [mark, template] of Object.entries(settings)) text = text.replaceAll(`"${mark}"`, template);
  return text.replace(/^( *)resources: "@@resources@@"$/gm, (_, indent: string) => {
    return `${indent}resources: {{- toYaml .Values.resources | nindent ${indent.length + 2} }}`;
  });
}

function mapStrings(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((each) => mapStrings(each, change));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, mapStrings(each, change)]));
}
