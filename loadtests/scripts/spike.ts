// Ten times the rate for a moment: how much is lost, and how soon everything is as before.
import { planOptions, summarize } from './ask.ts';

export { ask } from './ask.ts';
export const options = planOptions;
export const handleSummary = summarize;
