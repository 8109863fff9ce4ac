// The same load on the same model with Paceline and without it, at the same time.
import { planOptions, summarize } from './ask.ts';

export { ask } from './ask.ts';
export const options = planOptions;
export const handleSummary = summarize;
