import type { Quarantine } from './quarantine.ts';

/** What a companion knows of a lane beside what the kernel learns of it. */
export interface Lane {
  readonly key: string;
  readonly row: number;
  readonly target: string;
  readonly headers: string;
  requests: number;
  /** Where its requests did not go well together, or those of other lanes of its target. */
  quarantine: Quarantine | undefined;
  /** How many of its requests may share a call, as the kernel was told last. */
  sharersMax: number;
}

/** Opens rows for lanes, follows the kernel when it reuses one, and watches which header keeps requests apart. */
export class LaneTable {
  readonly #openRow: () => number;
  readonly #byKey = new Map<string, Lane>();
  readonly #byRow: (Lane | undefined)[] = [];
  readonly #lastOfTarget = new Map<string, Lane>();
  readonly #splits = new Map<string, number>();

  /** @param openRow asks the kernel for a row; -1 when none is free. */
  constructor(openRow: () => number) {
    this.#openRow = openRow;
  }

  /** Requests of one target, header set and signature share a lane. */
  static keyOf(target: string, headers: string, signature: string): string {
    return `${target}\u0001${headers}\u0001${signature}`;
  }

  /** The lane of a key, new if need be, or undefined when all rows are busy. */
  lane(key: string): Lane | undefined {
    const known = this.#byKey.get(key);
    if (known) return known;
    const row = this.#openRow();
    if (row < 0) return undefined;
    const evicted = this.#byRow[row];
    if (evicted) this.#byKey.delete(evicted.key);
    const [target = '', headers = ''] = key.split('\u0001', 2);
    const sharersMax = Number.POSITIVE_INFINITY;
    const lane: Lane = { key, row, target, headers, requests: 0, quarantine: undefined, sharersMax };
    this.#byKey.set(key, lane);
    this.#byRow[row] = lane;
    this.#noteSplit(lane);
    return lane;
  }

  /** The lane of a key, if it is open. */
  known(key: string): Lane | undefined {
    return this.#byKey.get(key);
  }

  at(row: number): Lane | undefined {
    return this.#byRow[row];
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** How many have requests that are kept apart. */
  quarantined(now: number): number {
    let lanes = 0;
    for (const { quarantine } of this.#byKey.values()) if (quarantine && quarantine.state(now) !== 'over') lanes++;
    return lanes;
  }

  all(): Iterable<Lane> {
    return this.#byKey.values();
  }

  /** The kernel was rebuilt: all rows are gone. */
  clear(): void {
    this.#byKey.clear();
    this.#byRow.length = 0;
  }

  /** The header whose values opened most lanes of one target, or null. */
  mostSplittingHeader(): { name: string; lanes: number } | null {
    let most: { name: string; lanes: number } | null = null;
    for (const [name, lanes] of this.#splits) if (!most || lanes > most.lanes) most = { name, lanes };
    return most;
  }

  /** Compares a new lane with the last one of its target: headers that differ are what split them. */
  #noteSplit(lane: Lane): void {
    const before = this.#lastOfTarget.get(lane.target);
    if (this.#lastOfTarget.size < 256 || before) this.#lastOfTarget.set(lane.target, lane);
    if (!before || before.headers === lane.headers) return;
    const theirs = new Set(before.headers.split('\n'));
    for (const line of lane.headers.split('\n')) {
      if (theirs.has(line)) continue;
      const name = line.slice(0, line.indexOf(':'));
      if (this.#splits.has(name) || this.#splits.size < 32) this.#splits.set(name, (this.#splits.get(name) ?? 0) + 1);
    }
  }
}
