import type { CompanionOptions } from './companion-settings.ts';
import type { OptionKind } from './option-kinds.ts';

/** One option: its flag, its meaning, how it is read and what it is when nobody says. */
export interface OptionSpec {
  readonly key: keyof CompanionOptions;
  /** Without dashes. */
  readonly flag: string;
  readonly kind: OptionKind;
  readonly description: string;
  /** The variable that stands in for the flag where it is not the flag's own name. */
  readonly variable?: string;
  /** An empty text is a value of its own, and none need be given. */
  readonly mayBeEmpty?: true;
  /** What a user would write, or in words what it follows from; undefined where the option is required. */
  readonly fallback?: string | { readonly follows: string };
}
