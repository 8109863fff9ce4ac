// One rate all the time: what a service keeps when nothing changes.
import { planOptions, summarize } from './ask.ts';

export { ask } from './ask.ts';
export const options = planOptions;
export const handleSummary = summarize;
