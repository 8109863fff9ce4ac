import { readFileSync } from 'node:fs';
import { codeOfReason, errorSpecs } from '../../src/companion/errors.ts';
import { PlanReason, planReasonLabel } from '../../src/kernels/plan-reasons.ts';
import { Reason, reasonLabel } from '../../src/kernels/reasons.ts';
import { code, table } from './markdown.ts';

interface ReasonEntry<Code> {
  readonly reason: Code;
  readonly group: string;
  readonly meaning: string;
}

/** Every reason code with its meaning, from the enum that the kernel and its hosts share. */
export function reasonsPage(): string {
  const entries = readReasons<Reason>('batching', 'Reason', Reason);
  const group = (name: string) => entries.filter((entry) => entry.group === name);
  const rows = (name: string) =>
    group(name).map(({ reason, meaning }) => [code(reasonLabel(reason)), String(reason), meaning]);
  const refused = group('Refused because').map(({ reason, meaning }) => {
    return [code(reasonLabel(reason)), String(reason), meaning, answerOf(reason)];
  });
  return `# Reasons

Each decision of the batching kernel has a reason. The number is what crosses the boundary of \`batching.wasm\`.
Neither the number nor the label changes its meaning.

## A batch was sent because

The label \`trigger\` of \`paceline_batches_total\`. Requests that travel alone, because nothing else may share a batch
with them, count as \`none\`.

${table(['label', 'code', 'meaning'], rows('Dispatched because'))}

## A request waits because

Waiting is not counted by reason, but shows: \`busy\` in \`paceline_queue_seconds\`, \`saving\` in \`paceline_wait_seconds\`,
\`no-spare-room\` in \`paceline_late_waiting_requests\`.

${table(['label', 'code', 'meaning'], rows('Waits because'))}

## A request was refused because

The label \`reason\` of \`paceline_requests_total{outcome="refused"}\`. What the companion refuses without asking the kernel
has its error code there: see [errors.md](errors.md).

${table(['label', 'code', 'meaning', 'answer'], refused)}

# Reasons of plans

Each plan of a service has a reason, and so has the plan that came second. The codes are those of \`placement.wasm\`; status,
events, metrics and the decision log carry the same one.
${planGroups()}`;
}

/** A table for each group of the planning reasons. */
function planGroups(): string {
  const entries = readReasons<PlanReason>('placement', 'PlanReason', PlanReason);
  const groups = [...new Set(entries.map((entry) => entry.group))];
  return groups
    .map((group) => {
      const rows = entries
        .filter((entry) => entry.group === group)
        .map(({ reason, meaning }) => [code(planReasonLabel(reason)), String(reason), meaning]);
      return `\n## ${group}\n\n${table(['label', 'code', 'meaning'], rows)}\n`;
    })
    .join('');
}

function answerOf(reason: Reason): string {
  const name = codeOfReason(reason);
  return `${errorSpecs[name].status} ${code(name)}`;
}

/** Reads names, groups and comments of a kernel's enum: at run time it knows only its numbers. */
function readReasons<Code extends number>(kernel: string, name: string, codes: object): ReasonEntry<Code>[] {
  const file = readFileSync(new URL(`../../assembly/${kernel}/codes.ts`, import.meta.url), 'utf8');
  const body = new RegExp(`export enum ${name} \\{(.*?)\\n\\}`, 's').exec(file)?.[1] ?? '';
  const named = new Map<string, unknown>(Object.entries(codes));
  const entries: ReasonEntry<Code>[] = [];
  let group = '';
  for (const match of body.matchAll(/\/\/ ([^\n]+):\n|\/\*\* ([^/]+?) \*\/\s+(\w+) = (\d+),/g)) {
    const [, heading, meaning, label, value] = match;
    if (heading !== undefined) group = heading;
    else if (named.get(label as string) === Number(value)) {
      const text = (meaning as string).replace(/\s*\n\s*\*\s*/g, ' ');
      entries.push({ reason: Number(value) as Code, group, meaning: text });
    }
  }
  const missing = [...named.values()].filter(
    (reason) => typeof reason === 'number' && reason !== 0 && !entries.some((entry) => entry.reason === reason),
  );
  if (missing.length > 0) throw new Error(`reasons without a comment or a group: ${missing.join(', ')}`);
  return entries;
}
