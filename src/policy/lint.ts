import { isMap, isNode, isPair, isSeq, LineCounter, type Node, type Pair, parseAllDocuments } from 'yaml';
import { apiVersion, group } from './crd-schema.ts';
import { type InferencePolicy, readInferencePolicy } from './inference-policy.ts';
import { isRecord } from './is-record.ts';
import { nearest } from './nearest.ts';
import { type PriceList, readPriceList } from './price-list.ts';
import { error, type Problem, stepsOf } from './problem.ts';
import { reviewService } from './review-service.ts';
import { type ServiceView, viewService } from './service-view.ts';

/** A text with its name: a path, or `-` for standard input. */
export interface LintSource {
  readonly name: string;
  readonly text: string;
}

/** A problem and where it was written. Lines and columns count from 1. */
export interface Finding extends Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What was found, in the order of the texts. */
export interface LintReport {
  readonly findings: readonly Finding[];
  /** Services, policies and price lists that were looked at; anything else in the texts is passed over. */
  readonly objects: number;
}

/** One object of a text. */
interface LintedObject {
  readonly name: string;
  readonly value: unknown;
  readonly locate: (field: string) => { line: number; column: number };
  readonly source: LintSource;
}

const ourKinds = ['InferencePolicy', 'PriceList'];

/**
 * Everything that admission would say about the objects in these texts (YAML with any number of documents, or JSON;
 * Lists too), each beside what else the texts hold of its namespace. Pure.
 *
 * @param deploymentMode of services that do not say; undefined: unknown
 */
export function lintTexts(sources: readonly LintSource[], deploymentMode?: 'knative' | 'standard'): LintReport {
  const findings: Finding[] = [];
  const say = ({ source, locate }: LintedObject, problem: Problem) =>
    findings.push({ file: source.name, ...locate(problem.field), ...problem });
  const objects = sources.flatMap((source) => objectsOf(source, findings));
  const services: [LintedObject, ServiceView][] = [];
  const policies = new Map<InferencePolicy, LintedObject>();
  const priceLists: PriceList[] = [];
  let wrong = 0;
  for (const object of objects) {
    const service = viewService(object.value);
    if (service) services.push([object, service]);
    else if (isOurs(object.value)) {
      const { value, problems } = readOurs(object.value);
      for (const problem of problems) say(object, { ...problem, object: object.name });
      if (value === undefined) wrong++;
      else if (value.kind === 'InferencePolicy') policies.set(value, object);
      else priceLists.push(value);
    }
  }
  const named = new Map([...policies.values()].map((object) => [object.name, object]));
  const said = new Set<string>();
  for (const [object, service] of services) {
    for (const problem of reviewService({
      service,
      policies: [...policies.keys()],
      priceLists: priceLists.length > 0 ? priceLists : undefined,
      deploymentMode,
    })) {
      const about = problem.object === undefined ? object : (named.get(problem.object) ?? object);
      say(about, { ...problem, object: about.name });
    }
  }
  const order = new Map(sources.map(({ name }, at) => [name, at]));
  const rank = ({ file }: Finding) => order.get(file) ?? 0;
  const found = findings
    .sort((one, other) => rank(one) - rank(other) || one.line - other.line || one.column - other.column)
    .filter((finding) => {
      const text = JSON.stringify(finding);
      return !said.has(text) && said.add(text);
    });
  return { findings: found, objects: services.length + policies.size + priceLists.length + wrong };
}

function isOurs(value: unknown): value is { apiVersion: string; kind?: unknown } {
  return isRecord(value) && typeof value.apiVersion === 'string' && value.apiVersion.startsWith(`${group}/`);
}

function readOurs(object: { apiVersion: string; kind?: unknown }): {
  value?: InferencePolicy | PriceList;
  problems: Problem[];
} {
  if (object.apiVersion !== apiVersion) {
    return {
      problems: [error('PL_KIND_UNKNOWN', 'apiVersion', `there is no ${object.apiVersion}: write ${apiVersion}`)],
    };
  }
  if (object.kind === 'InferencePolicy') return readInferencePolicy(object);
  if (object.kind === 'PriceList') return readPriceList(object);
  const kind = String(object.kind);
  const meant = nearest(kind, ourKinds) ?? ourKinds.join(' or ');
  return {
    problems: [error('PL_KIND_UNKNOWN', 'kind', `there is no kind ${kind} in ${group}: did you mean ${meant}?`)],
  };
}

/** The objects of one text; what is no YAML is a finding. */
function objectsOf(source: LintSource, findings: Finding[]): LintedObject[] {
  const lineCounter = new LineCounter();
  // kubectl reads YAML 1.1, in which an unquoted `off` is false: what it would send is what has to be judged.
  const documents = parseAllDocuments(source.text, { lineCounter, version: '1.1', prettyErrors: false });
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    for (const { message, pos } of document.errors) {
      const { line, col } = lineCounter.linePos(pos[0]);
      findings.push({
        file: source.name,
        line,
        column: col,
        ...error('PL_SYNTAX', '', `this is not YAML or JSON: ${message}`),
      });
    }
    if (document.errors.length > 0) return [];
    const at = (offset: number) => {
      const { line, col } = lineCounter.linePos(offset);
      return { line, column: col };
    };
    const value = toValue(() => document.toJS({ maxAliasCount: 100 }));
    const located = (root: Node | null): LintedObject['locate'] => {
      return (field) => at(offsetOf(root, stepsOf(field)));
    };
    const root = document.contents as Node | null;
    if (
      !isRecord(value) ||
      typeof value.kind !== 'string' ||
      !value.kind.endsWith('List') ||
      !Array.isArray(value.items)
    ) {
      return [{ name: nameOf(value), value, locate: located(root), source }];
    }
    const items = isMap(root) ? root.get('items', true) : undefined;
    return value.items.map((item, index) => ({
      name: nameOf(item),
      value: item as unknown,
      locate: located(isSeq(items) ? (items.items[index] as Node) : root),
      source,
    }));
  });
}

/** Aliases that blow a document up make it nothing that we know. */
function toValue(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Where the key of a field was written; where the field is missing, the key of what it should be in. */
function offsetOf(root: Node | null, steps: readonly (string | number)[]): number {
  let offset = root?.range?.[0] ?? 0;
  let node: unknown = root;
  for (const step of steps) {
    if (isMap(node)) {
      const pair: Pair | undefined = node.items.find(
        ({ key }) => isNode(key) && String((key as { value?: unknown }).value) === String(step),
      );
      if (!isPair(pair) || !isNode(pair.key)) break;
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = node.items[Number(step)];
      if (!isNode(item)) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else break;
  }
  return offset;
}

/** `Kind/namespace/name`, or as much of it as there is. */
function nameOf(value: unknown): string {
  if (!isRecord(value)) return '';
  const metadata = isRecord(value.metadata) ? value.metadata : {};
  const namespace = value.kind === 'PriceList' ? [] : [metadata.namespace ?? 'default'];
  return [value.kind ?? '', ...namespace, metadata.name ?? ''].map(String).join('/');
}
