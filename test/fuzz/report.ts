import { type Page, withSection } from '../../bench/document.ts';
import type { Provenance } from '../../bench/provenance.ts';
import { headOf, origin, table } from '../support/reports.ts';
import type { FuzzResult } from './settings.ts';

/** What a target's section tells. */
export interface FuzzedTarget extends FuzzResult {
  readonly seconds: number;
  /** The command line without `npm run fuzz --`. */
  readonly asked: string;
  readonly seed: number;
}

/** docs/reports/fuzz.md with this target's section put in or replaced: what was tried of the others stays. */
export function withTarget(before: string, target: FuzzedTarget, from: Provenance, names: readonly string[]): string {
  const { name, runs, seconds, findings, figures, asked, seed } = target;
  const section = [
    `## ${name}`,
    origin(from),
    `\`npm run fuzz -- ${asked}\`, seed ${seed}: ${runs} tried in ${seconds} s, ${findings.length} findings.`,
    table(['what', 'how many'], figures),
  ];
  const page: Page = {
    names,
    mark: 'fuzz',
    head: `${headOf('fuzz')}

What must hold is in test/fuzz/README.md. \`npm run fuzz -- --only wire --report\` tries one target again and leaves the others.
`,
  };
  return withSection(before, name, section.join('\n\n'), page);
}
