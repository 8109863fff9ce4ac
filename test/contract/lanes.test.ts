// The lane rules, once for all protocols: the table in docs/protocols.md says what may share a batch, and this suite holds
// every protocol to it.
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import * as assert from 'uvu/assert';
import { LaneKeys } from '../../src/companion/batching/lane-keys.ts';
import type { MergeInput, Spliced } from '../../src/protocol/protocol.ts';
import { createProtocols } from '../../src/protocol/protocols.ts';
import { suite } from '../support/suite.ts';
import { type Asked, type Driver, plain, type Rule, rules, sharedHeader, type Written } from './asked.ts';
import { binaryDriver } from './binary-driver.ts';
import { grpcDriver } from './grpc-driver.ts';
import { v1Driver, v2Driver } from './json-driver.ts';

const drivers = [v1Driver, v2Driver, binaryDriver, grpcDriver];
const page = readFileSync(new URL('../../docs/protocols.md', import.meta.url), 'utf8');
const protocols = createProtocols();

/** A request that was read, and the key of its lane as the companion makes it. */
function laneOf(driver: Driver, written: Written): string | undefined {
  const measured = protocols[driver.protocol].measure(written.body, written.jsonBytes);
  assert.ok(typeof measured === 'string' || !('refused' in measured), JSON.stringify(measured));
  if (typeof measured === 'string') return undefined;
  assert.ok(measured.uniform);
  const request = { rawHeaders: written.headers, url: written.url, socket: {}, httpVersionMajor: 2 };
  const keys = new LaneKeys(new Set([sharedHeader]));
  return keys.keyOf(request as unknown as IncomingMessage, measured.signature);
}

/** What becomes of two requests that differ so: `yes`, they share; `no`; `never`, the second is not batched at all. */
function verdict(driver: Driver, { first, second }: Rule): string {
  const one = driver.write({ ...plain, ...first });
  const other = driver.write({ ...plain, ...first, ...second });
  if (!one || !other || (one.url === other.url && one.body.equals(other.body) && one.headers === other.headers)) {
    return '';
  }
  const lane = laneOf(driver, other);
  if (lane === undefined) return 'never';
  return laneOf(driver, one) === lane ? 'yes' : 'no';
}

function inputOf(driver: Driver, asked: Asked): MergeInput {
  const { body, jsonBytes } = driver.write(asked) as Written;
  const measured = protocols[driver.protocol].measure(body, jsonBytes);
  assert.ok(typeof measured === 'object' && !('refused' in measured), JSON.stringify(measured));
  return { body, measured };
}

suite('lane rules', (test) => {
  test('the table on the page is what every protocol does, row by row', () => {
    const lines = page.split('\n').filter((line) => line.startsWith('| '));
    const head = lines.findIndex((line) => line.startsWith('| two requests differ in'));
    const cells = (line: string) => line.split('|').map((cell) => cell.trim());
    const columns = cells(lines[head] as string).slice(2, -2);
    assert.equal(
      columns,
      drivers.map((driver) => driver.name),
    );
    const table = lines
      .slice(head + 2, head + 2 + rules.length)
      .map((line) => cells(line).slice(1, 2 + drivers.length));
    assert.equal(
      table,
      rules.map((rule) => [rule.what, ...drivers.map((driver) => verdict(driver, rule))]),
    );
  });

  for (const driver of drivers) {
    const protocol = protocols[driver.protocol];
    const whole = ({ slices }: Spliced) => Buffer.concat(slices);
    // Everything that is the same for all, where the protocol has a word for it.
    const all: Asked = {
      ...plain,
      parameters: { mode: 'a' },
      outputs: ['y'],
      tensorParameters: { content_type: 'np' },
    };
    const asked = driver.write(all) ? all : plain;
    const sizes = [1, 3, 2];
    let next = 0;
    const rows = sizes.map((size) => Array.from({ length: size }, () => [next++, -next]));

    test(`${driver.name}: the model sees all rows in order, and everything else as the first caller said it`, () => {
      const inputs = rows.map((own) => inputOf(driver, { ...asked, rows: own }));
      const { slices, jsonBytes } = protocol.merge(inputs);
      const merged = driver.read(Buffer.concat(slices), jsonBytes);
      const first = inputs[0] as MergeInput;
      const alone = driver.read(first.body, first.measured.jsonBytes);
      assert.equal(merged.rows, rows.flat());
      assert.equal(merged.rest, alone.rest);
      assert.is(merged.id, alone.id);
      const again = protocol.measure(Buffer.concat(slices), jsonBytes);
      assert.ok(typeof again === 'object' && 'items' in again);
      assert.is(again.items, rows.flat().length);
      assert.is(again.signature, first.measured.signature);
    });

    test(`${driver.name}: every caller gets what the model would have answered it alone`, () => {
      for (const ids of [['a', 'bcd', ''], []]) {
        const requests = rows.map((own, i) => ({ ...asked, rows: own, id: ids[i] }));
        const inputs = requests.map((each) => inputOf(driver, each));
        const { slices, jsonBytes } = protocol.merge(inputs);
        const reply = driver.answer(driver.read(Buffer.concat(slices), jsonBytes));
        const parts = protocol.split(reply.body, inputs, reply.jsonBytes) as Spliced[];
        assert.ok(Array.isArray(parts), JSON.stringify(parts));
        for (const [i, part] of parts.entries()) {
          const { body, measured } = inputs[i] as MergeInput;
          const alone = driver.answer(driver.read(body, measured.jsonBytes));
          if (ids.length > 0) assert.equal(whole(part), alone.body, whole(part).toString('latin1'));
          const own = driver.readReply(whole(part), part.jsonBytes);
          assert.equal(own, { ...driver.readReply(alone.body, alone.jsonBytes), id: own.id });
          assert.is(part.jsonBytes, ids.length > 0 ? alone.jsonBytes : part.jsonBytes);
        }
      }
    });

    test(`${driver.name}: one request is its own batch, byte for byte`, () => {
      const input = inputOf(driver, asked);
      const { slices, jsonBytes } = protocol.merge([input]);
      assert.ok(Buffer.concat(slices).equals(input.body));
      assert.is(jsonBytes, input.measured.jsonBytes);
      const reply = driver.answer(driver.read(input.body, jsonBytes));
      const [part] = protocol.split(reply.body, [input], reply.jsonBytes) as Spliced[];
      assert.ok(whole(part as Spliced).equals(reply.body));
    });
  }
});
