/** Says a measured value, in a form that the runner shows beside the verdict. */
export function figure(what: string, value: number | string, unit = ''): void {
  const shown = typeof value === 'number' ? Math.round(value * 100) / 100 : value;
  // On a line of its own: the test framework may be in the middle of one of its dots.
  console.log(`\nfigure: ${what}: ${shown} ${unit}`.trimEnd());
}

export const isFullRun = process.env.PACELINE_FULL === '1';
