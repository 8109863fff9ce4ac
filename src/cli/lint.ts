import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { Command, Option } from 'commander';
import type { Finding, LintReport, LintSource } from '../policy/lint.ts';

interface LintOptions {
  json?: boolean;
  strict?: boolean;
  deploymentMode?: 'knative' | 'standard';
}

/** `paceline lint`: what admission would say, without a cluster. */
export function lintCommand(): Command {
  return new Command('lint')
    .description('check InferenceServices, Knative Services, InferencePolicies and PriceLists as admission would')
    .argument('<file...>', 'YAML (any number of documents) or JSON; - is standard input')
    .option('--json', 'print the findings as JSON')
    .option('--strict', 'end with 1 for warnings too')
    .addOption(
      new Option(
        '--deployment-mode <mode>',
        "the cluster's default, for InferenceServices that do not say theirs (default: both are possible)",
      ).choices(['knative', 'standard']),
    )
    .addHelpText(
      'after',
      '\nIt ends with 0 where nothing is wrong, with 1 where something is, with 2 where a file cannot be read.',
    )
    .action(async (files: string[], options: LintOptions, command: Command) => {
      const sources = await Promise.all(files.map((file) => sourceOf(file, command)));
      // Schemas and YAML are read only here: a companion in a pod never loads them.
      const { lintTexts } = await import('../policy/lint.ts');
      const report = lintTexts(sources, options.deploymentMode);
      const { errors, warnings } = countsOf(report);
      console.log(options.json ? JSON.stringify({ ...report, errors, warnings }, null, 2) : shown(report));
      process.exitCode = errors > 0 || (options.strict && warnings > 0) ? 1 : 0;
    });
}

async function sourceOf(file: string, command: Command): Promise<LintSource> {
  try {
    return { name: file, text: file === '-' ? await text(process.stdin) : await readFile(file, 'utf8') };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const known: Record<string, string> = { EISDIR: 'it is a directory: name files', ENOENT: 'there is no such file' };
    const reason = known[code ?? ''] ?? message;
    command.error(`error: cannot read ${file}: ${reason}`, { exitCode: 2 });
  }
}

function countsOf({ findings }: LintReport): { errors: number; warnings: number } {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  return { errors, warnings: findings.length - errors };
}

/** One line a finding, as compilers write them, and a sum. */
function shown(report: LintReport): string {
  const { errors, warnings } = countsOf(report);
  const sum = `${counted(report.objects, 'object')}: ${counted(errors, 'error')}, ${counted(warnings, 'warning')}`;
  const none = report.objects === 0 && errors === 0 ? ' (nothing here is a service, a policy or a price list)' : '';
  return [...report.findings.map(line), sum + none].join('\n');
}

function line({ file, line, column, severity, code, field, message }: Finding): string {
  return `${file}:${line}:${column}: ${severity} ${code}${field === '' ? '' : ` ${field}`}: ${message}`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
