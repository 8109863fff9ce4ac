import { Command, InvalidArgumentError } from 'commander';

/** A command of `npm run`. What is wrong with its options ends it with status 2, before anything is begun. */
export function runCommand(name: string, description: string): Command {
  return new Command(`npm run ${name} --`)
    .description(description)
    .allowExcessArguments(false)
    .showHelpAfterError('(--help lists what there is)')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));
}

/** Reads a whole number that is not below `least`. */
export function wholeFrom(least: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least)) throw new InvalidArgumentError(`Give a whole number from ${least} on.`);
    return value;
  };
}
