import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { WireKernel, WireStatus } from '../../src/kernels/wire.ts';
import type { BatchProtocol, MergeInput } from '../../src/protocol/protocol.ts';
import { createProtocols } from '../../src/protocol/protocols.ts';
import {
  anyText,
  numberText,
  otherMembers,
  stringText,
  styles,
  tensorForms,
  writeList,
  writeObject,
  writeTensor,
} from '../support/body-texts.ts';
import { asReply, elementsFor, v1Bodies, v2Bodies } from '../support/client-bodies.ts';
import { type JsonValue, readJson } from '../support/json-text.ts';
import { chance, mutate } from '../support/mutations.ts';
import { propertyRuns } from '../support/property-runs.ts';
import {
  type ReferenceHole,
  type ReferenceScan,
  referenceScan,
  referenceSignature,
} from '../support/reference-bodies.ts';
import { suite } from '../support/suite.ts';

for (const flavour of ['simd', 'scalar', 'debug'] as const) {
  const protocols = createProtocols(flavour);
  const kernel = new WireKernel(flavour);
  const effort = flavour === 'debug' ? 0.5 : 1;

  suite(`bodies beside their plain reference (${flavour})`, (test) => {
    for (const [name, bodies] of [
      ['v1', v1Bodies],
      ['v2', v2Bodies],
    ] as const) {
      const protocol = protocols[name];

      test(`${name}: mutated requests and replies are what JSON.parse says they are`, () => {
        const outcomes = new Map<string, number>();
        fc.assert(
          fc.property(bodies, fc.boolean(), fc.nat(), (texts, reply, seed) => {
            const below = chance(seed);
            const original = Buffer.from(reply ? asReply(texts[0] as string) : (texts[0] as string));
            for (let i = 0; i < 12; i++) {
              let body: Buffer = original;
              for (let changes = i === 0 ? 0 : 1 + below(2); changes > 0; changes--) body = mutate(body, below);
              const outcome = compareScans(kernel, name, body, reply);
              outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
            }
          }),
          propertyRuns(250 * effort, 5000),
        );
        const all = [...outcomes.values()].reduce((sum, each) => sum + each, 0);
        for (const outcome of ['measured', 'refused', 'pass-through'])
          assert.ok((outcomes.get(outcome) ?? 0) > all / 100, `${outcome}: ${outcomes.get(outcome)} of ${all}`);
      });

      test(`${name}: bodies have one signature where they have one template and form`, () => {
        fc.assert(
          fc.property(bodies, bodies, (some, others) => {
            const known = [...some, ...others].flatMap((text) => {
              const body = Buffer.from(text);
              const measured = protocol.measure(body);
              const scan = referenceScan(name, body, false);
              if (typeof measured !== 'object' || 'refused' in measured) return [];
              assert.is(measured.uniform, scan.form !== null);
              return [{ signature: measured.signature, reference: referenceSignature(body, scan) }];
            });
            for (const one of known)
              for (const other of known)
                assert.is(
                  one.signature === other.signature,
                  one.reference === other.reference,
                  `${one.reference}\n${other.reference}`,
                );
          }),
          propertyRuns(100 * effort, 6000),
        );
      });

      test(`${name}: merges keep every element's bytes, and nothing else changes`, () => {
        let merges = 0;
        fc.assert(
          fc.property(bodies, (texts) => {
            for (const group of mergeable(protocol, texts)) {
              checkMerge(name, protocol, group);
              if (group.length > 1) merges++;
            }
          }),
          propertyRuns(200 * effort, 7000),
        );
        assert.ok(merges > 40, `${merges} merges`);
      });
    }

    test('v1: replies are shared out element by element', () => {
      fc.assert(
        fc.property(styles, styles, otherMembers, replyRows(anyText), (style, inner, others, parts) => {
          const requests = parts.map((part) => measuredInput(protocols.v1, `{"instances":[${part.map(() => '1')}]}`));
          const reply = writeObject([['predictions', writeList(parts.flat(), inner)], ...others], style);
          checkSplit('v1', protocols.v1, Buffer.from(reply), requests);
        }),
        propertyRuns(200 * effort, 8000),
      );
    });

    test('v1: long replies of numbers among other things are shared out element by element', () => {
      const mostlyNumbers = fc.oneof(
        { weight: 30, arbitrary: numberText },
        stringText,
        fc.constant('[1,2,3]'),
        fc.constant('null'),
      );
      const parts = fc.array(fc.array(mostlyNumbers, { minLength: 1, maxLength: 120, size: 'max' }), {
        minLength: 2,
        maxLength: 3,
      });
      fc.assert(
        fc.property(styles, parts, (inner, rows) => {
          const requests = rows.map((part) => measuredInput(protocols.v1, `{"instances":[${part.map(() => '1')}]}`));
          checkSplit('v1', protocols.v1, Buffer.from(`{"predictions":${writeList(rows.flat(), inner)}}`), requests);
        }),
        propertyRuns(40 * effort, 8500),
      );
    });

    test('v2: replies are shared out tensor by tensor, with the caller’s own id', () => {
      const setting = fc
        .tuple(
          fc.array(tensorForms, { minLength: 1, maxLength: 3 }),
          fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 4 }),
        )
        .chain(([forms, counts]) =>
          fc.tuple(
            fc.constant(forms),
            fc.constant(counts),
            fc.tuple(
              ...forms.map((form) =>
                elementsFor(
                  form,
                  counts.reduce((sum, each) => sum + each),
                ),
              ),
            ),
          ),
        );
      const ids = fc.constantFrom('none', 'callers', 'model');
      fc.assert(
        fc.property(
          styles,
          styles,
          setting,
          otherMembers,
          ids,
          (style, inner, [forms, counts, elements], others, ids) => {
            const total = counts.reduce((sum, each) => sum + each);
            const requests = counts.map((count, i) => {
              const id = ids === 'callers' ? `"id":"caller ${i}, \\"x\\"",` : '';
              const data = Array.from({ length: count }, () => 1);
              return measuredInput(
                protocols.v2,
                `{${id}"inputs":[{"name":"x","shape":[${count}],"datatype":"INT8","data":[${data}]}]}`,
              );
            });
            const tensors = forms.map((form, i) => writeTensor(form, total, elements[i] as string[], style, inner));
            const members: [string, string][] = [['outputs', writeList(tensors, style)], ...others];
            if (ids !== 'none') members.push(['id', '"of the batch"']);
            checkSplit('v2', protocols.v2, Buffer.from(writeObject(members, style)), requests);
          },
        ),
        propertyRuns(200 * effort, 9000),
      );
    });
  });
}

function replyRows(element: fc.Arbitrary<string>): fc.Arbitrary<string[][]> {
  return fc.array(fc.array(element, { minLength: 1, maxLength: 5 }), { minLength: 2, maxLength: 4 });
}

const passThrough = [WireStatus.PassThrough, WireStatus.TooMany];

function compareScans(
  kernel: WireKernel,
  protocol: 'v1' | 'v2',
  body: Buffer,
  reply: boolean,
): ReferenceScan['outcome'] {
  const expected = referenceScan(protocol, body, reply);
  const scan = kernel.measure(protocol, body, reply);
  const outcome =
    scan.status === WireStatus.Ok ? 'measured' : passThrough.includes(scan.status) ? 'pass-through' : 'refused';
  const what = () => `status ${scan.status} at ${scan.failedAt} for ${JSON.stringify(body.toString('latin1'))}`;
  assert.is(outcome, expected.outcome, what());
  assert.is(kernel.validate(body) === WireStatus.Ok, isValid(body), what());
  if (outcome === 'measured') {
    assert.is(scan.items, expected.items, what());
    if (!reply && expected.items > 0) assert.is(scan.form !== 0, expected.form !== null, what());
    assert.equal(
      scan.holes.map((hole) => [hole.start, hole.end]),
      expected.holes.map((hole) => [hole.start, hole.end]),
      what(),
    );
  }
  return outcome;
}

function isValid(body: Buffer): boolean {
  const root = readJson(body);
  return root !== null && root.depth <= 64;
}

function measuredInput(protocol: BatchProtocol, text: string): MergeInput {
  const body = Buffer.from(text);
  const measured = protocol.measure(body);
  if (typeof measured !== 'object' || 'refused' in measured) throw new Error(`${JSON.stringify(measured)} for ${text}`);
  return { body, measured };
}

/** The bodies that can be batched, by signature. */
function mergeable(protocol: BatchProtocol, texts: readonly string[]): MergeInput[][] {
  const groups = new Map<string, MergeInput[]>();
  for (const body of texts.map((text) => Buffer.from(text))) {
    const measured = protocol.measure(body);
    if (typeof measured !== 'object' || 'refused' in measured || !measured.uniform) continue;
    groups.set(measured.signature, [...(groups.get(measured.signature) ?? []), { body, measured }]);
  }
  return [...groups.values()];
}

function checkMerge(name: 'v1' | 'v2', protocol: BatchProtocol, group: readonly MergeInput[]): void {
  const merged = Buffer.concat(protocol.merge(group).slices);
  const scan = referenceScan(name, merged, false);
  const scans = group.map((each) => referenceScan(name, each.body, false));
  const total = scans.reduce((sum, each) => sum + each.items, 0);
  assert.is(scan.outcome, 'measured', merged.toString());
  assert.is(scan.items, total);
  assert.is(scan.form, (scans[0] as ReferenceScan).form);
  assert.equal(outside(merged, scan.holes), outside(group[0]?.body as Buffer, (scans[0] as ReferenceScan).holes));
  for (const [index, hole] of scan.holes.entries()) {
    const theirs = scans.map((each) => each.holes[index] as ReferenceHole);
    const texts = theirs.map((each, i) => textOf(group[i]?.body as Buffer, each));
    const text = textOf(merged, hole);
    if (hole.kind === 'rows')
      assert.equal(
        rowsOf(merged, hole),
        theirs.flatMap((each, i) => rowsOf(group[i]?.body as Buffer, each)),
      );
    else if (hole.kind === 'count') assert.is(text, String(total));
    else if (hole.kind === 'id') assert.is(text, texts[0]);
    else if (hole.kind === 'timeout') {
      // 0 says nothing, which is longer than any.
      const told = texts.map(Number);
      assert.is(Number(text), told.includes(0) ? 0 : Math.max(...told));
    } else assert.is(Number(text) || never, Math.min(...texts.map((each) => Number(each) || never)));
  }
}

const never = Number.POSITIVE_INFINITY;

function checkSplit(name: 'v1' | 'v2', protocol: BatchProtocol, reply: Buffer, requests: readonly MergeInput[]): void {
  const scan = referenceScan(name, reply, true);
  const total = requests.reduce((sum, each) => sum + each.measured.items, 0);
  const parts = protocol.split(reply, requests);
  if (scan.outcome !== 'measured' || scan.items !== total) {
    assert.not(Array.isArray(parts), reply.toString());
    return;
  }
  if (!Array.isArray(parts)) throw new Error(`${JSON.stringify(parts)} for ${reply}`);
  let before = 0;
  for (const [i, part] of parts.entries()) {
    const own = Buffer.concat(part.slices);
    const { items } = (requests[i] as MergeInput).measured;
    const ownScan = referenceScan(name, own, true);
    assert.is(ownScan.outcome, 'measured', own.toString());
    assert.is(ownScan.items, items);
    assert.equal(outside(own, ownScan.holes), outside(reply, scan.holes));
    for (const [index, hole] of ownScan.holes.entries()) {
      const whole = scan.holes[index] as ReferenceHole;
      if (hole.kind === 'rows') {
        const perItem = whole.rows.length / total;
        assert.equal(rowsOf(own, hole), rowsOf(reply, whole).slice(before * perItem, (before + items) * perItem));
      } else if (hole.kind === 'count') assert.is(textOf(own, hole), String(items));
      else {
        const asked = referenceScan(name, (requests[i] as MergeInput).body, false).holes.find(
          (each) => each.kind === 'id',
        );
        const id = asked ? textOf((requests[i] as MergeInput).body, asked) : `"of the batch${i > 0 ? `-${i}` : ''}"`;
        assert.is(textOf(own, hole), id);
      }
    }
    before += items;
  }
}

/** The bytes outside the holes, as text. */
function outside(body: Buffer, holes: readonly ReferenceHole[]): string[] {
  const ends = [0, ...holes.map((hole) => hole.end)];
  const starts = [...holes.map((hole) => hole.start), body.length];
  return ends.map((end, i) => body.toString('latin1', end, starts[i]));
}

function textOf(body: Buffer, place: { start: number; end: number }): string {
  return body.toString('latin1', place.start, place.end);
}

function rowsOf(body: Buffer, hole: ReferenceHole): string[] {
  return hole.rows.map((row: JsonValue) => textOf(body, row));
}
