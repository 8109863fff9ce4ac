/** A metric as a page shows it. */
export interface ReadFamily {
  readonly type: string;
  readonly help: string;
  readonly unit: string | undefined;
  /** By name and labels as they are written. */
  readonly samples: Map<string, number>;
}

const sampleLine =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)$/;

/**
 * Reads a metrics page strictly: metadata once and before the samples, families together, names that fit their type,
 * no series twice, no empty line. OpenMetrics has rules of its own for counters, units, bounds and the end.
 *
 * @throws {Error} with the line that breaks a rule.
 */
export function readMetricsPage(text: string, open: boolean): Map<string, ReadFamily> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const lines = text.slice(0, -1).split('\n');
  if (open && lines.pop() !== '# EOF') throw new Error('the last line is not # EOF');
  const families = new Map<
    string,
    { type: string; help: string; unit: string | undefined; samples: Map<string, number> }
  >();
  let current = '';
  for (const line of lines) {
    const wrong = (why: string) => new Error(`${why}: ${JSON.stringify(line)}`);
    const meta = /^# (HELP|TYPE|UNIT) (\S+) (.+)$/.exec(line);
    if (meta) {
      const [, kind, name, value] = meta as unknown as [string, 'HELP' | 'TYPE' | 'UNIT', string, string];
      if (name !== current && families.has(name)) throw wrong('a family in two places');
      current = name;
      const family = families.get(name) ?? { type: '', help: '', unit: undefined, samples: new Map() };
      families.set(name, family);
      if (family.samples.size > 0) throw wrong('metadata after samples');
      const key = kind.toLowerCase() as 'help' | 'type' | 'unit';
      if (family[key]) throw wrong('metadata twice');
      family[key] = value;
      if (key === 'unit' && !(open && name.endsWith(`_${value}`))) throw wrong('a unit that is not in the name');
      continue;
    }
    const sample = sampleLine.exec(line);
    const family = families.get(current);
    if (!sample || !family) throw wrong('neither metadata nor a sample');
    const [, name, labels = '', value] = sample as unknown as [string, string, string | undefined, string];
    if (!suffixes(family.type, open).includes(name.slice(current.length)) || !name.startsWith(current)) {
      throw wrong(`not a sample of the ${family.type} ${current}`);
    }
    if (open && /le="\d+"/.test(labels)) throw wrong('a bound that is not written as a float');
    if (!Number.isFinite(Number(value))) throw wrong('not a number');
    const key = labels === '' ? name : `${name}{${labels}}`;
    if (family.samples.has(key)) throw wrong('a series twice');
    family.samples.set(key, Number(value));
  }
  for (const [name, family] of families) checkFamily(name, family, open);
  return families;
}

function suffixes(type: string, open: boolean): string[] {
  if (type === 'histogram') return ['_bucket', '_sum', '_count'];
  return type === 'counter' && open ? ['_total'] : [''];
}

function checkFamily(name: string, { type, help, samples }: ReadFamily, open: boolean): void {
  if (type === '' || help === '') throw new Error(`${name} lacks a type or a help text`);
  if (type === 'counter' && name.endsWith('_total') === open) throw new Error(`${name} is not a counter's name`);
  if (type !== 'histogram') return;
  const buckets = [...samples].filter(([key]) => key.startsWith(`${name}_bucket`)).map(([, count]) => count);
  if (buckets.some((count, i) => i > 0 && count < (buckets[i - 1] as number))) throw new Error(`${name} shrinks`);
  if (!samples.has(`${name}_bucket{le="+Inf"}`)) throw new Error(`${name} has no last bucket`);
  if (buckets.at(-1) !== samples.get(`${name}_count`)) throw new Error(`${name} counts in two ways`);
}
