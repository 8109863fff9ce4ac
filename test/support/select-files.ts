/** Suites that take long or need more than a machine has by itself, by their folders, and what runs each. */
const slowSuites: Readonly<Record<string, string>> = {
  'peers/': 'npm run test:peers',
  'cluster/': 'npm run test:cluster',
};

/** Which files are run, and what is to be said about words that match others only. */
export interface Selection {
  readonly files: readonly string[];
  readonly notes: readonly string[];
}

/** Chooses among test files (paths below test/): those that contain one of the words, or all; never those of slow suites. */
export function selectFiles(all: readonly string[], words: readonly string[]): Selection {
  const commandOf = (file: string) => Object.entries(slowSuites).find(([folder]) => file.startsWith(folder))?.[1];
  const usual = all.filter((file) => commandOf(file) === undefined);
  if (words.length === 0) return { files: usual, notes: [] };
  const notes: string[] = [];
  for (const word of words) {
    const matching = all.filter((file) => file.includes(word));
    if (matching.some((file) => usual.includes(file))) continue;
    if (matching.length === 0) notes.push(`no test file matches ${word}`);
    const commands = [...new Set(matching.map(commandOf))];
    for (const command of commands) notes.push(`${word} is in a suite of its own: ${command} -- ${word}`);
  }
  return { files: usual.filter((file) => words.some((word) => file.includes(word))), notes };
}
