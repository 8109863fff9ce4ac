import { type Command, InvalidArgumentError } from 'commander';
import {
  type CompanionOptions,
  companionOptionSpecs,
  OptionsError,
  resolveCompanionOptions,
  variableOf,
} from '../policy/companion-options.ts';
import { parseWhole, UnitError } from '../policy/units.ts';

/** Turns a parser's complaint into one that commander prints beside the option. */
export function argument<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      if (error instanceof UnitError) throw new InvalidArgumentError(`${error.message}.`);
      throw error;
    }
  };
}

/** Help shows these defaults as users would write them, by option name in camel case, instead of the parsed values. */
export function showDefaults(command: Command, texts: Readonly<Record<string, string>>): Command {
  for (const option of command.options) {
    const text = texts[option.attributeName()];
    if (text !== undefined) option.defaultValueDescription = text;
  }
  return command;
}

/** How much faster than recorded. */
export function parseSpeed(text: string): number {
  const value = Number(text);
  if (!(value >= 0.01 && value <= 1000)) throw new InvalidArgumentError('give a factor from 0.01 to 1000, such as 2.');
  return value;
}

/** A port; 0 picks a free one. */
export const portArgument = argument((text) => parseWhole(text, 0, 65_535));

/**
 * Adds the companion's options, or those with these flags. Help shows values, default and variable of each.
 *
 * @param otherwise defaults of the command's own, by flag name without dashes
 */
export function addCompanionOptions(
  command: Command,
  otherwise: Readonly<Record<string, string>> = {},
  flags?: readonly string[],
): void {
  for (const spec of companionOptionSpecs) {
    const { flag, kind, description, fallback } = spec;
    if (flags && !flags.includes(flag)) continue;
    const known = otherwise[flag] ?? (typeof fallback === 'object' ? fallback.follows : fallback);
    const need = known === undefined ? 'required' : `default: ${known || 'none'}`;
    command.option(`--${flag} <${kind.placeholder}>`, `${description} (${kind.accepts}; ${need}; ${variableOf(spec)})`);
  }
}

/**
 * The companion's options from a command's flags, the environment and what the command gives where neither says
 * anything. Where they are wrong the command ends with status 2 and says all that is.
 *
 * @param otherwise values by flag name without dashes
 */
export function companionOptions(command: Command, otherwise: Readonly<Record<string, string>> = {}): CompanionOptions {
  const flags: Record<string, string> = {};
  for (const { flag } of companionOptionSpecs) {
    // Commander names flags in camel case.
    const value = command.getOptionValue(flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()));
    if (typeof value === 'string') flags[flag] = value;
  }
  try {
    return optionsFrom(flags, otherwise);
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    failOptions(command, error);
  }
}

/**
 * Options from flags, the environment and what holds where neither says anything; all by flag name without dashes.
 *
 * @throws {OptionsError}
 */
export function optionsFrom(
  flags: Readonly<Record<string, string>>,
  otherwise: Readonly<Record<string, string>>,
): CompanionOptions {
  const environment = { ...process.env };
  for (const spec of companionOptionSpecs) {
    const given = environment[variableOf(spec)];
    if (given === undefined || (given === '' && !spec.mayBeEmpty)) environment[variableOf(spec)] = otherwise[spec.flag];
  }
  return resolveCompanionOptions(flags, environment);
}

/** Ends the command with status 2, and says all that is wrong. */
export function failOptions(command: Command, error: OptionsError): never {
  const problems = error.problems.map((problem) => `  ${problem}`).join('\n');
  command.error(`error (${error.code}):\n${problems}`, { exitCode: 2 });
}
