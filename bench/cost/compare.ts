/** A figure may grow by this share before it counts as a regression. */
export const growthMax = 0.1;

export interface Comparison {
  readonly lines: string[];
  readonly failed: boolean;
}

/** Sets costs against a baseline, scenario by scenario. What is in one of them only fails as well: the baseline is stale. */
export function compareCosts(now: Record<string, number>, baseline: Record<string, number>): Comparison {
  const names = [...new Set([...Object.keys(baseline), ...Object.keys(now)])];
  const width = Math.max(...names.map((name) => name.length));
  let failed = false;
  const lines = names.map((name) => {
    const was = baseline[name];
    const is = now[name];
    const growth = was === undefined || is === undefined ? Number.NaN : is / was - 1;
    const verdict = verdictOf(was, is, growth);
    if (verdict.failed) failed = true;
    const cells = [name.padEnd(width), cell(was), '->', cell(is), verdict.text];
    return cells.join(' ').trimEnd();
  });
  return { lines, failed };
}

function verdictOf(was: number | undefined, is: number | undefined, growth: number): { text: string; failed: boolean } {
  if (was === undefined) return { text: 'not in the baseline', failed: true };
  if (is === undefined) return { text: 'no longer measured', failed: true };
  const percent = `${growth > 0 ? '+' : ''}${(100 * growth).toFixed(1)} %`;
  if (growth > growthMax) return { text: `${percent}  REGRESSION`, failed: true };
  if (growth < -0.01) return { text: `${percent}  better`, failed: false };
  return { text: Math.abs(growth) < 0.0005 ? '' : percent, failed: false };
}

function cell(value: number | undefined): string {
  return (value === undefined ? '-' : value.toFixed(1)).padStart(10);
}
