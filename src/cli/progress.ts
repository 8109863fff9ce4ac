let lastShown = '';

/** One line on standard error that changes on a terminal; elsewhere a line for each step that is worth one. */
export function showProgress(text: string, isStep: boolean): void {
  if (text === lastShown) return;
  lastShown = text;
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
  else if (isStep && text !== '') process.stderr.write(`${text}\n`);
}
