// Five times the rate from one moment to the next: whether replicas come before the promise is broken.
import { planOptions, summarize } from './ask.ts';

export { ask } from './ask.ts';
export const options = planOptions;
export const handleSummary = summarize;
