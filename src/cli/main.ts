#!/usr/bin/env node
import { Command } from 'commander';
import { companionCommand } from './companion.ts';
import { simulateCommand } from './simulate.ts';

const program = new Command('paceline')
  .description(
    'Keeps a latency promise for model serving on KServe and Knative, at the lowest cost the promise allows.',
  )
  .addCommand(companionCommand())
  .addCommand(simulateCommand());
await program.parseAsync();
