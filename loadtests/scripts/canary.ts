// Steady load under a rollout that somebody else starts: no caller notices.
import { planOptions, summarize } from './ask.ts';

export { ask } from './ask.ts';
export const options = planOptions;
export const handleSummary = summarize;
