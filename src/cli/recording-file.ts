import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { Recording, RecordingError } from '../telemetry/recording.ts';

/** Reads a recording that a command was given, or ends the command with status 2 and says why. */
export function readRecording(command: Command, file: string): Recording {
  return readGiven(command, file, (bytes) => new Recording(bytes));
}

/** Reads a file that a command was given and makes something of it, or ends the command with status 2 and says why. */
export function readGiven<T>(command: Command, file: string, make: (bytes: Buffer) => T): T {
  try {
    return make(readFileSync(file));
  } catch (error) {
    const { code = 'PL_RECORDING', message } = error as NodeJS.ErrnoException;
    return command.error(`error (${error instanceof RecordingError ? error.code : code}): ${file}: ${message}`, {
      exitCode: 2,
    });
  }
}
