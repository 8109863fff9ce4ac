// What every protocol keeps of a request, over real sockets: a model, a companion and callers.
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';
import { type Asked, type Driver, plain, type Seen, type Written } from './asked.ts';
import { binaryDriver } from './binary-driver.ts';
import { type CallerAnswer, type Edges, jsonBytesOf, withHttpEdges } from './edges.ts';
import { grpcDriver } from './grpc-driver.ts';
import { withGrpcEdges } from './grpc-edges.ts';
import { v1Driver, v2Driver } from './json-driver.ts';

const protocols = [
  { driver: v1Driver, withEdges: withHttpEdges, refused: 400, failing: 500 },
  { driver: v2Driver, withEdges: withHttpEdges, refused: 400, failing: 500 },
  { driver: binaryDriver, withEdges: withHttpEdges, refused: 400, failing: 500 },
  { driver: grpcDriver, withEdges: withGrpcEdges, refused: 3, failing: 13 },
];

/** Requests of one lane, each with rows and an id of its own. */
function requests(count: number, common: Partial<Asked> = {}): Asked[] {
  return Array.from({ length: count }, (_, i) => ({
    ...plain,
    ...common,
    id: `caller-${i}`.padEnd(9 + i, '.'),
    rows: Array.from({ length: 1 + (i % 3) }, (_, row) => [100 * i + row, -i]),
  }));
}

/**
 * Calls that are all at the companion before the model answers the first: most of them become one batch. `refused` of them
 * get no further than the companion.
 */
async function together(edges: Edges, all: readonly Written[], refused = 0): Promise<CallerAnswer[]> {
  const release = edges.hold();
  const before = edges.calls.length;
  const answers = all.map((each) => edges.call(each));
  const atModel = () => callersIn({ rows: edges.calls.slice(before).flatMap(({ seen }) => seen.rows) });
  for (let i = 0; i < 2000 && atModel() + edges.rig.companion.scheduler.waiting < all.length - refused; i++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  release();
  return Promise.all(answers);
}

/** How many callers' rows these are: the second number of a row says whose it is. */
function callersIn({ rows }: Pick<Seen, 'rows'>): number {
  return new Set(rows.map(([, whose]) => whose)).size;
}

/** The answer of the model to this request alone. */
function alone(driver: Driver, written: Written): Buffer {
  return driver.answer(driver.read(written.body, written.jsonBytes)).body;
}

for (const { driver, withEdges, refused, failing } of protocols) {
  const write = (asked: Asked) => driver.write(asked) as Written;
  // What V1 knows of: everything else of it would be a word of its own.
  const words: Partial<Asked> = driver.name === 'V1' ? {} : { version: '3', outputs: ['y'], parameters: { mode: 'a' } };
  const oneId = (all: Asked[]) => (driver.name === 'V1' ? all.map((each) => ({ ...each, id: 'a' })) : all);

  suite(`${driver.name}, end to end`, (test) => {
    test('a body that contradicts itself is refused with a code, and its neighbours are served', () =>
      withEdges(driver, {}, async (edges) => {
        const fine = oneId(requests(6)).map(write);
        const broken = driver.broken(write(plain));
        const answers = await together(edges, [...fine.slice(0, 3), broken, ...fine.slice(3)], 1);
        const [wrong] = answers.splice(3, 1);
        assert.is(wrong?.status, refused, wrong?.message);
        assert.match(String(wrong?.message), /PL_BODY_[A-Z]+/);
        for (const [i, answer] of answers.entries()) assert.equal(answer.body, alone(driver, fine[i] as Written));
      }));

    test('requests share batches, and each caller gets its own answer, byte for byte', () =>
      withEdges(driver, {}, async (edges) => {
        const all = oneId(requests(24, words)).map(write);
        const answers = await together(edges, all);
        for (const [i, answer] of answers.entries()) {
          assert.is(answer.status, refused === 400 ? 200 : 0, answer.message);
          assert.equal(answer.body, alone(driver, all[i] as Written), answer.body.toString('latin1'));
          const expected = driver.answer(driver.read((all[i] as Written).body, all[i]?.jsonBytes));
          assert.is(jsonBytesOf(answer.headers), expected.jsonBytes);
          assert.match(String(answer.headers['server-timing']), /exec;dur=/);
        }
        assert.ok(edges.calls.length < all.length, `${edges.calls.length} calls`);
      }));

    test('version, parameters, outputs, authentication and trace context reach the model', () =>
      withEdges(driver, { 'share-across-headers': 'x-user' }, async (edges) => {
        const all = oneId(requests(12, words)).map((asked, i) =>
          write({
            ...asked,
            headers: ['host', 'model', 'authorization', 'Bearer t', 'traceparent', traceparent(i), 'x-user', `u${i}`],
          }),
        );
        await together(edges, all);
        const first = all[0] as Written;
        const { rest } = driver.read(first.body, first.jsonBytes);
        for (const { seen, url, headers } of edges.calls) {
          assert.equal(seen.rest, rest);
          assert.is(url, first.url);
          assert.is(headers.authorization, 'Bearer t');
          assert.match(String(headers.traceparent), /^00-0{30}[0-9a-f]{2}-00f067aa0ba902b7-01$/);
          assert.is(headers['x-user'] === undefined, callersIn(seen) > 1, 'only what is shared is dropped');
        }
        assert.ok(edges.calls.some(({ seen }) => callersIn(seen) > 1));
      }));

    test('a batch that is refused for its content is taken apart: only the guilty one is told', () =>
      withEdges(driver, {}, async (edges) => {
        edges.refuse = ({ seen }) => (seen.rows.some(([value]) => value === 500) ? failing : undefined);
        const all = oneId(requests(9)).map(write);
        const answers = await together(edges, all);
        for (const [i, answer] of answers.entries()) {
          if (i === 5) assert.is(answer.status, failing, answer.message);
          else assert.equal(answer.body, alone(driver, all[i] as Written));
        }
      }));
  });
}

/** A valid one, of a trace of its own: nothing else travels on. */
function traceparent(i: number): string {
  return `00-${(i + 1).toString(16).padStart(32, '0')}-00f067aa0ba902b7-01`;
}
