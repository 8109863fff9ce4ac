#!/usr/bin/env node
import { withAgentCommand } from './agent.ts';
import { program } from './program.ts';

// What goes wrong in a command is a sentence for people.
try {
  await program().parseAsync(withAgentCommand(process.argv));
} catch (error) {
  const shown = error instanceof Error ? error.message : String(error);
  console.error(`error: ${shown}`);
  process.exit(1);
}
