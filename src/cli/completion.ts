import { Argument, Command } from 'commander';

/** `paceline completion`: names of commands and flags for the tab key. */
export function completionCommand(root: Command): Command {
  return new Command('completion')
    .description('print a script that completes names with the tab key: source <(paceline completion bash)')
    .addArgument(new Argument('<shell>', 'your shell').choices(['bash', 'zsh']))
    .action((shell: 'bash' | 'zsh') => console.log(scriptFor(shell, wordsOf(root))));
}

/** By command, the words that may follow it; by '', the commands. */
function wordsOf(root: Command): Map<string, string[]> {
  const words = new Map<string, string[]>();
  words.set('', [...root.commands.map((command) => command.name()), '--help', '--version']);
  for (const command of root.commands) {
    const flags = command.options.map((option) => option.long ?? '');
    const choices = command.registeredArguments.flatMap((argument) => argument.argChoices ?? []);
    words.set(command.name(), [...choices, ...flags, '--help']);
  }
  return words;
}

/** Zsh runs the same script through its emulation of bash's completion. */
function scriptFor(shell: 'bash' | 'zsh', words: ReadonlyMap<string, string[]>): string {
  const cases = [...words]
    .filter(([command]) => command !== '')
    .map(([command, following]) => `    ${command}) words='${following.join(' ')}' ;;`);
  return [
    ...(shell === 'zsh' ? ['autoload -U +X bashcompinit && bashcompinit'] : []),
    '_paceline() {',
    `  local command="\${COMP_WORDS[1]}" typed="\${COMP_WORDS[COMP_CWORD]}"`,
    `  local words='${words.get('')?.join(' ')}'`,
    '  [ "$COMP_CWORD" -gt 1 ] && case "$command" in',
    ...cases,
    "    *) words='' ;;",
    '  esac',
    '  COMPREPLY=($(compgen -W "$words" -- "$typed"))',
    '}',
    'complete -o default -F _paceline paceline',
  ].join('\n');
}
