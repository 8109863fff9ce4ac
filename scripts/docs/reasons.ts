import { readFileSync } from 'node:fs';
import { codeOfReason, errorSpecs } from '../../src/companion/errors.ts';
import { Reason, reasonLabel } from '../../src/kernels/reasons.ts';
import { code, table } from './markdown.ts';

interface ReasonEntry {
  readonly reason: Reason;
  readonly group: string;
  readonly meaning: string;
}

/** Every reason code with its meaning, from the enum that the kernel and its hosts share. */
export function reasonsPage(): string {
  const entries = readReasons();
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
`;
}

function answerOf(reason: Reason): string {
  const name = codeOfReason(reason);
  return `${errorSpecs[name].status} ${code(name)}`;
}

/** Reads names, groups and comments: an enum at run time knows only its numbers. */
function readReasons(): ReasonEntry[] {
  const file = readFileSync(new URL('../../assembly/batching/codes.ts', import.meta.url), 'utf8');
  const body = /export enum Reason \{(.*?)\n\}/s.exec(file)?.[1] ?? '';
  const entries: ReasonEntry[] = [];
  let group = '';
  for (const match of body.matchAll(/\/\/ ([^\n]+):\n|\/\*\* ([^/]+?) \*\/\s+(\w+) = (\d+),/g)) {
    const [, heading, meaning, name, value] = match;
    if (heading !== undefined) group = heading;
    else if (Reason[name as keyof typeof Reason] === Number(value)) {
      entries.push({ reason: Number(value), group, meaning: (meaning as string).replace(/\s*\n\s*\*\s*/g, ' ') });
    }
  }
  const missing = Object.values(Reason).filter(
    (reason) =>
      typeof reason === 'number' && reason !== Reason.None && !entries.some((entry) => entry.reason === reason),
  );
  if (missing.length > 0) throw new Error(`reasons without a comment or a group: ${missing.join(', ')}`);
  return entries;
}
