// How the benchmarks measure: rivals side by side in one process, round by round, and medians over the rounds.

/** One way of doing a job, and how often a round repeats it. */
interface Contender {
  readonly work: () => void;
  repeats: number;
}

/** The CPU of each way in microseconds a repeat, one figure a round. */
export type Rounds = ReadonlyMap<string, readonly number[]>;

/**
 * Runs several ways of doing one job in turns and returns what each costs: CPU of the whole process (user and system,
 * so that the garbage collector's threads count) a repeat, in microseconds. Repeats are chosen so that a turn takes
 * `turnMs` of CPU; the first turns warm up and are not counted.
 */
export function interleave(ways: Readonly<Record<string, () => void>>, rounds = 15, turnMs = 40): Rounds {
  const contenders = Object.entries(ways).map(([name, work]) => [name, { work, repeats: 1 } as Contender] as const);
  for (const [, contender] of contenders) calibrate(contender, turnMs);
  const costs = new Map(contenders.map(([name]) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, contender] of contenders) costs.get(name)?.push(turn(contender));
  }
  return costs;
}

/** The median over the rounds of how many times more `than` costs than `name`. */
export function timesCheaper(rounds: Rounds, name: string, than: string): number {
  const own = rounds.get(name) as readonly number[];
  return median((rounds.get(than) as readonly number[]).map((cost, i) => cost / (own[i] as number)));
}

/** The median cost of one way, in microseconds a repeat. */
export function typical(rounds: Rounds, name: string): number {
  return median(rounds.get(name) as readonly number[]);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which a share `q` of the values lies. NaN where there are none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

/** Repeats until the optimising compiler is through with the code, then sets how many make a turn. */
function calibrate(contender: Contender, turnMs: number): void {
  const turnUs = turnMs * 1000;
  for (let total = 0; total < 8 * turnUs; ) {
    const perRepeat = turn(contender);
    total += perRepeat * contender.repeats;
    contender.repeats = Math.max(1, Math.min(contender.repeats * 4, Math.ceil(turnUs / Math.max(perRepeat, 0.01))));
  }
}

function turn(contender: Contender): number {
  const before = process.cpuUsage();
  for (let i = 0; i < contender.repeats; i++) contender.work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / contender.repeats;
}
