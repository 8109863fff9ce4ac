// Bodies and messages for the fuzzer, and what must hold for each of them.
import fc from 'fast-check';
import { WireKernel, WireStatus } from '../../src/kernels/wire.ts';
import type { BatchProtocol, MergeInput, Spliced } from '../../src/protocol/protocol.ts';
import { createProtocols } from '../../src/protocol/protocols.ts';
import { asReply, v1Bodies, v2Bodies } from '../support/client-bodies.ts';
import { messageClients, replyOf, requestOf } from '../support/client-messages.ts';
import { readJson } from '../support/json-text.ts';
import { mutate, mutateMessage, mutateRaw } from '../support/mutations.ts';
import { rawClients, writeRaw } from '../support/raw-bodies.ts';
import { referenceScan } from '../support/reference-bodies.ts';
import { referenceMessage } from '../support/reference-messages.ts';

export const wireKinds = ['v1', 'v2', 'raw', 'grpc'] as const;
export type WireKind = (typeof wireKinds)[number];

/** One thing to be read: a request or a reply. */
export interface WireCase {
  readonly kind: WireKind;
  readonly reply: boolean;
  readonly body: Buffer;
  /** Of `raw`: where its JSON ends. */
  readonly jsonBytes: number;
}

/** Sound cases from a seed. */
export function soundCases(kind: WireKind, count: number, seed: number): WireCase[] {
  const settings = { numRuns: count, seed };
  if (kind === 'v1' || kind === 'v2') {
    const texts = fc.sample(kind === 'v1' ? v1Bodies : v2Bodies, settings).map(([first]) => first as string);
    return texts.map((text, i) => ({
      ...{ kind, reply: i % 3 === 0, jsonBytes: 0 },
      body: Buffer.from(i % 3 === 0 ? asReply(text) : text),
    }));
  }
  if (kind === 'raw') {
    return fc.sample(rawClients, settings).map(({ writer, rows, ids }, i) => ({
      ...{ kind, reply: i % 3 === 0 },
      ...writeRaw(writer, i % 3 === 0 ? 'outputs' : 'inputs', rows[0] as never, ids[0] as string),
    }));
  }
  return fc.sample(messageClients, settings).map((client, i) => {
    const first = client.requests[0] as (typeof client.requests)[number];
    const reply = i % 3 === 0;
    return { kind, reply, jsonBytes: 0, body: reply ? replyOf(client, first) : requestOf(client, first) };
  });
}

/** A case with up to three changes; now and then the end of another one stands behind its beginning. */
export function mutateCase(original: WireCase, other: WireCase, below: (n: number) => number): WireCase {
  let { body, jsonBytes } = original;
  if (below(20) === 0) {
    const cut = below(body.length + 1);
    body = Buffer.concat([body.subarray(0, cut), other.body.subarray(below(other.body.length + 1))]);
    jsonBytes = Math.min(jsonBytes, body.length);
  }
  for (let changes = 1 + below(3); changes > 0; changes--) {
    if (original.kind === 'raw') {
      ({ body, jsonBytes } = mutateRaw({ body, jsonBytes }, below));
      jsonBytes = Math.max(0, jsonBytes);
    } else body = original.kind === 'grpc' ? mutateMessage(body, below) : mutate(body, below);
  }
  return { ...original, body, jsonBytes };
}

interface Verdict {
  readonly outcome: 'measured' | 'pass-through' | 'refused';
  readonly items: number;
  readonly holes: readonly { readonly start: number; readonly end: number }[];
  /** Whatever it is, it lies in the body. */
  readonly failedAt: number;
  readonly status: WireStatus;
}

/** Reads cases with the kernel in its three builds, and compares what they say with the plain references. */
export class WireChecker {
  readonly #simd = new WireKernel('simd');
  readonly #scalar = new WireKernel('scalar');
  readonly #debug = new WireKernel('debug');
  readonly #protocols = createProtocols('simd');
  #turn = 0;
  /** Cases that were merged with themselves, and whose merged reply was split again. */
  merged = 0;
  split = 0;

  /** What the latest case was. */
  outcome: Verdict['outcome'] = 'refused';

  /** What is wrong with what is said of a case, or undefined. Traps are thrown. */
  wrongWith(given: WireCase): string | undefined {
    const { body } = given;
    const verdict = this.#read(this.#simd, given);
    this.outcome = verdict.outcome;
    // The build with asserts is slow.
    const second = this.#turn++ % 4 === 0 ? this.#debug : this.#scalar;
    const other = this.#read(second, given);
    if (JSON.stringify(other) !== JSON.stringify(verdict)) return `builds differ: ${told(other)}, ${told(verdict)}`;
    const expected = referenceOf(given);
    if (verdict.outcome !== expected.outcome) return `${told(verdict)}, and the reference says ${expected.outcome}`;
    if (verdict.failedAt > body.length) return `it fails at ${verdict.failedAt}, beyond its end`;
    if (
      given.kind !== 'grpc' &&
      given.kind !== 'raw' &&
      (this.#simd.validate(body) === WireStatus.Ok) !== isValid(body)
    ) {
      return 'whether it is JSON is not what JSON.parse says';
    }
    if (verdict.outcome !== 'measured') return undefined;
    if (verdict.items !== expected.items) return `${verdict.items} items, and the reference says ${expected.items}`;
    return wrongHoles(verdict, body, expected.holes) ?? (given.reply ? undefined : this.#wrongWithMerge(given));
  }

  #read(kernel: WireKernel, { kind, reply, body, jsonBytes }: WireCase): Verdict {
    const scan =
      kind === 'grpc'
        ? kernel.measureMessage(body, reply)
        : kind === 'raw'
          ? kernel.measureRaw(body, jsonBytes, reply)
          : kernel.measure(kind, body, reply);
    const forwarded = scan.status === WireStatus.PassThrough || scan.status === WireStatus.TooMany;
    const outcome = scan.status === WireStatus.Ok ? 'measured' : forwarded ? 'pass-through' : 'refused';
    const { items, holes, failedAt, status } = scan;
    return { outcome, items, failedAt, status, holes: holes.map(({ start, end }) => ({ start, end })) };
  }

  /** A request merged with itself is twice as much, and where it is read as a reply its halves are the request as a reply. */
  #wrongWithMerge(given: WireCase): string | undefined {
    const { body } = given;
    const protocol: BatchProtocol = this.#protocols[given.kind === 'raw' ? 'v2' : given.kind];
    const jsonBytes = given.kind === 'raw' ? given.jsonBytes : undefined;
    const measured = protocol.measure(body, jsonBytes);
    if (typeof measured !== 'object' || 'refused' in measured || !measured.uniform) return undefined;
    const one: MergeInput = { body, measured };
    const merged = protocol.merge([one, one]);
    const whole = bytesOf(merged);
    const twice = protocol.measure(whole, merged.jsonBytes);
    if (typeof twice !== 'object' || 'refused' in twice) return `merged with itself it is ${JSON.stringify(twice)}`;
    if (twice.items !== 2 * measured.items) return `merged with itself it has ${twice.items} items`;
    this.merged++;
    const reply = replyFrom(given, whole, merged.jsonBytes);
    const own = replyFrom(given, body, jsonBytes);
    const parts = protocol.split(reply.body, [one, one], reply.jsonBytes);
    // Not every request is a reply under another name.
    if (!Array.isArray(parts)) return undefined;
    this.split++;
    for (const part of parts) {
      const bytes = bytesOf(part);
      if (squeezed(bytes, part.jsonBytes, given.kind) !== squeezed(own.body, own.jsonBytes, given.kind)) {
        return `split again it is ${bytes.toString('latin1')}`;
      }
    }
    return undefined;
  }
}

function wrongHoles(
  { holes }: Verdict,
  body: Buffer,
  expected: readonly { readonly start: number; readonly end: number }[] | undefined,
): string | undefined {
  let at = 0;
  for (const { start, end } of holes) {
    if (start < at || end < start || end > body.length)
      return `a hole from ${start} to ${end} lies outside, or over another`;
    at = end;
  }
  if (!expected) return undefined;
  const places = (all: typeof expected) => JSON.stringify(all.map(({ start, end }) => [start, end]));
  if (places(holes) === places(expected)) return undefined;
  return `holes ${places(holes)}, and the reference says ${places(expected)}`;
}

function referenceOf({ kind, reply, body, jsonBytes }: WireCase): {
  outcome: Verdict['outcome'];
  items: number;
  holes?: Verdict['holes'];
} {
  if (kind === 'grpc') return referenceMessage(body, reply);
  return kind === 'raw' ? referenceScan('v2', body, reply, jsonBytes) : referenceScan(kind, body, reply);
}

/** A request's bytes under the names that a reply has. */
function replyFrom(
  { kind }: WireCase,
  body: Buffer,
  jsonBytes: number | undefined,
): { body: Buffer; jsonBytes?: number | undefined } {
  if (kind === 'grpc') return { body: messageAsReply(body) };
  const json = body.subarray(0, jsonBytes).toString('latin1');
  const renamed = Buffer.from(asReply(json), 'latin1');
  if (jsonBytes === undefined) return { body: renamed };
  return { body: Buffer.concat([renamed, body.subarray(jsonBytes)]), jsonBytes: renamed.length };
}

/** Raw contents have another number in a reply, and it asks for no outputs. Parameters of requests are none of replies. */
function messageAsReply(message: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < message.length; ) {
    const from = at;
    const [tag, value] = varintAt(message, at);
    const type = tag % 8;
    if (type === 2) {
      const [length, start] = varintAt(message, value);
      at = start + length;
    } else at = type === 0 ? varintAt(message, value)[1] : value + (type === 1 ? 8 : 4);
    if (tag === 0x32) continue;
    if (tag === 0x3a) parts.push(Buffer.of(0x32), message.subarray(value, at));
    else parts.push(message.subarray(from, at));
  }
  return Buffer.concat(parts);
}

function varintAt(bytes: Buffer, from: number): [number, number] {
  let value = 0;
  for (let at = from, factor = 1; ; at++, factor *= 128) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return [value, at + 1];
  }
}

/** Bytes as text, JSON without the white space between tokens: where rows are cut, it goes with either of them. */
function squeezed(body: Buffer, jsonBytes: number | undefined, kind: WireKind): string {
  if (kind === 'grpc') return body.toString('latin1');
  const json = body.toString('latin1', 0, jsonBytes).replace(/("(?:[^"\\]|\\.)*")|[ \t\r\n]+/g, '$1');
  return jsonBytes === undefined ? json : `${json} ${body.toString('latin1', jsonBytes)}`;
}

function isValid(body: Buffer): boolean {
  const root = readJson(body);
  return root !== null && root.depth <= 64;
}

function bytesOf({ slices }: Spliced): Buffer {
  return slices.length === 1 ? (slices[0] as Buffer) : Buffer.concat(slices);
}

function told({ outcome, status, failedAt }: Verdict): string {
  return `${outcome} (status ${status} at ${failedAt})`;
}

/** A case as one line of the corpus. */
export function lineOf({ kind, reply, body, jsonBytes }: WireCase): string {
  return JSON.stringify({ kind, reply, jsonBytes, body: body.toString('base64') });
}

export function caseOf(line: string): WireCase {
  const { body, ...rest } = JSON.parse(line) as Omit<WireCase, 'body'> & { body: string };
  return { ...rest, body: Buffer.from(body, 'base64') };
}

/** What tells apart in which way a case was read: cases of one trait teach nothing new. */
export function traitOf(checker: WireKernel, { kind, reply, body, jsonBytes }: WireCase): string {
  const scan =
    kind === 'grpc'
      ? checker.measureMessage(body, reply)
      : kind === 'raw'
        ? checker.measureRaw(body, jsonBytes, reply)
        : checker.measure(kind, body, reply);
  const holes = [...new Set(scan.holes.map((hole) => hole.kind))].sort();
  return `${kind} ${reply} ${scan.status} ${holes} ${scan.form === 0} ${Math.min(scan.holes.length, 4)}`;
}
