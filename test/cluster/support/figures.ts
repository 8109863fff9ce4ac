/** Says a measured value, in a form that the runner shows beside the verdict. */
export function figure(what: string, value: number | string, unit = ''): void {
  console.log(
    `figure: ${what}: ${typeof value === 'number' ? Math.round(value * 100) / 100 : value}${unit && ` ${unit}`}`,
  );
}

export const isFullRun = process.env.PACELINE_FULL === '1';
