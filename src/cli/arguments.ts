import { InvalidArgumentError } from 'commander';
import { parseWhole, UnitError } from '../policy/units.ts';

/** Turns a parser's complaint into one that commander prints beside the option. */
export function argument<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      if (error instanceof UnitError) throw new InvalidArgumentError(error.message);
      throw error;
    }
  };
}

/** A port; 0 picks a free one. */
export const portArgument = argument((text) => parseWhole(text, 0, 65_535));
