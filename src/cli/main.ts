#!/usr/bin/env node
import { Command } from 'commander';
import { baselineCommand } from './baseline.ts';
import { companionCommand } from './companion.ts';
import { demoCommand } from './demo.ts';
import { digitsCommand } from './digits.ts';
import { simulateCommand } from './simulate.ts';
import { startCommand } from './start.ts';
import { variantsCommand } from './variants.ts';

const program = new Command('paceline')
  .description(
    'Keeps a latency promise for model serving on KServe and Knative, at the lowest cost the promise allows.',
  )
  .addCommand(startCommand())
  .addCommand(demoCommand())
  .addCommand(companionCommand())
  .addCommand(simulateCommand())
  .addCommand(digitsCommand())
  .addCommand(variantsCommand())
  .addCommand(baselineCommand());
await program.parseAsync();
