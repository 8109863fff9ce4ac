/** A table of cells; a `|` in a cell would end it. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

/** Text in code type. */
export function code(text: string): string {
  return `\`${text}\``;
}

/** Words in code type, separated by commas. */
export function codes(words: Iterable<string>): string {
  return [...words].map(code).join(', ');
}

/** A sentence: a capital letter and a full stop. */
export function sentence(text: string): string {
  return `${text[0]?.toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;
}
