/** A line of a chart; null where there is nothing to draw. */
export interface Line {
  readonly label: string;
  readonly values: readonly (number | null)[];
  /** One of the page's line colours, 1 to 5. */
  readonly colour: number;
  readonly dashed?: boolean;
}

export interface Chart {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly Line[];
  /** Phases as bands, by the second in which each begins. */
  readonly bands: readonly { readonly name: string; readonly from: number; readonly to: number }[];
  /** A level to compare with, such as the SLO. */
  readonly level?: { readonly label: string; readonly value: number };
}

const width = 920;
const height = 220;
const left = 56;
const right = 12;
const top = 22;
const bottom = 26;

/** A chart over the seconds of a run as SVG, to stand within HTML. Its colours are the page's. */
export function chartSvg({ title, unit, lines, bands, level }: Chart): string {
  const seconds = Math.max(2, ...lines.map(({ values }) => values.length));
  const highest = Math.max(level?.value ?? 0, ...lines.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const ceiling = niceCeiling(highest);
  const x = (second: number) => left + ((width - left - right) * second) / (seconds - 1);
  const y = (value: number) => height - bottom - ((height - top - bottom) * value) / ceiling;
  const parts = [`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">`];
  for (const [at, { name, from, to }] of bands.entries()) {
    const [start, end] = [x(from), x(Math.min(to, seconds - 1))];
    if (end <= start) continue;
    parts.push(
      `<rect class="band${at % 2}" x="${start.toFixed(1)}" y="${top}" width="${(end - start).toFixed(1)}" height="${height - top - bottom}"/>`,
    );
    parts.push(`<text class="phase" x="${(start + 4).toFixed(1)}" y="${top - 7}">${escapeHtml(name)}</text>`);
  }
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    const value = tick * ceiling;
    parts.push(
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}"/>`,
    );
    parts.push(
      `<text class="axis" text-anchor="end" x="${left - 6}" y="${(y(value) + 4).toFixed(1)}">${short(value)}</text>`,
    );
  }
  for (let second = 0; second < seconds; second += secondsStep(seconds)) {
    parts.push(
      `<text class="axis" text-anchor="middle" x="${x(second).toFixed(1)}" y="${height - 8}">${second} s</text>`,
    );
  }
  if (level)
    parts.push(
      `<line class="level" x1="${left}" x2="${width - right}" y1="${y(level.value).toFixed(1)}" y2="${y(level.value).toFixed(1)}"/>`,
    );
  for (const { values, colour, dashed } of lines) {
    parts.push(`<path class="line c${colour}${dashed ? ' dashed' : ''}" d="${pathOf(values, x, y)}"/>`);
  }
  parts.push('</svg>');
  const keys = lines.map(
    ({ label, colour, dashed }) => `<span class="key c${colour}${dashed ? ' dashed' : ''}">${escapeHtml(label)}</span>`,
  );
  if (level) keys.push(`<span class="key level">${escapeHtml(level.label)}</span>`);
  return `<figure><figcaption>${escapeHtml(title)} <small>${escapeHtml(unit)}</small> ${keys.join(' ')}</figcaption>${parts.join('')}</figure>`;
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function pathOf(
  values: readonly (number | null)[],
  x: (second: number) => number,
  y: (value: number) => number,
): string {
  let path = '';
  let drawing = false;
  for (const [second, value] of values.entries()) {
    if (value !== null) path += `${drawing ? 'L' : 'M'}${x(second).toFixed(1)} ${y(value).toFixed(1)}`;
    drawing = value !== null;
  }
  return path;
}

/** The least of 1, 2, 2.5 and 5 times a power of ten that is not below. */
export function niceCeiling(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= value) as number) * power;
}

function secondsStep(seconds: number): number {
  return [5, 10, 20, 30, 60, 120, 300, 600].find((step) => seconds / step <= 12) ?? 1200;
}

function short(value: number): string {
  return value >= 10_000 ? `${value / 1000}k` : `${Number(value.toFixed(2))}`;
}
