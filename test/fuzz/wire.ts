import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { FuzzResult, FuzzSettings } from './settings.ts';

/** Cases until a worker has had all kinds. */
const mixedFrom = 4000;

/** What a worker says of its part. */
export interface WirePart {
  readonly runs: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly merged: number;
  readonly split: number;
  readonly findings: readonly string[];
  /** Cases of new traits, as lines of a corpus. */
  readonly kept: readonly string[];
  readonly done: boolean;
}

/** Mutated bodies and messages through `wire.wasm`, in a process for each processor. */
export async function fuzzWire({
  runs,
  seconds,
  seed,
  progress,
}: FuzzSettings): Promise<FuzzResult & { kept: string[] }> {
  const workers = availableParallelism();
  const parts: WirePart[] = [];
  const children: ChildProcess[] = [];
  const crashes: string[] = [];
  progress(
    () =>
      `wire: ${sum(parts, (part) => part.runs)} of ${runs} cases, ${sum(parts, (part) => part.findings.length)} findings (seed ${seed})`,
  );
  const worker = async (index: number) => {
    const own = Math.ceil(runs / workers);
    const child = fork(fileURLToPath(new URL('wire-worker.ts', import.meta.url)), [
      String(own),
      String(seconds),
      String(seed + index),
    ]);
    children.push(child);
    child.on('message', (part) => {
      parts[index] = part as WirePart;
    });
    const code = await new Promise<number | null>((resolve) => child.on('exit', resolve));
    if (!parts[index]?.done) crashes.push(`the worker with seed ${seed + index} ended with ${code}`);
  };
  await Promise.all(Array.from({ length: workers }, (_, i) => worker(i)));
  const outcomes: Record<string, number> = {};
  for (const part of parts) {
    for (const [name, count] of Object.entries(part.outcomes)) outcomes[name] = (outcomes[name] ?? 0) + count;
  }
  const done = sum(parts, (part) => part.runs);
  const findings = [...crashes, ...parts.flatMap((part) => part.findings)];
  if (done === 0) findings.push('nothing was tried');
  // What is all refused tests nothing but refusing.
  for (const kind of done < mixedFrom * workers ? [] : ['v1', 'v2', 'raw', 'grpc']) {
    for (const outcome of ['measured', 'refused', 'pass-through']) {
      const count = outcomes[`${kind} ${outcome}`] ?? 0;
      if (count < done / 4000) findings.push(`only ${count} cases of ${kind} were ${outcome}`);
    }
  }
  const [merged, split] = [sum(parts, (part) => part.merged), sum(parts, (part) => part.split)];
  if (split < done / 500) findings.push(`only ${split} cases were merged and split again`);
  return {
    name: 'wire',
    runs: done,
    findings,
    figures: [...Object.entries(outcomes).sort(), ['merged with themselves', merged], ['and split again', split]],
    kept: parts.flatMap((part) => part.kept),
  };
}

function sum(parts: readonly (WirePart | undefined)[], read: (part: WirePart) => number): number {
  return parts.reduce((total, part) => total + (part ? read(part) : 0), 0);
}
