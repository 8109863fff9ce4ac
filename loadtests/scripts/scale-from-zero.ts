// The first requests of a service that has no pods: all of them get an answer.
import { planOptions, summarize } from './ask.ts';

export { ask } from './ask.ts';
export const options = planOptions;
export const handleSummary = summarize;
