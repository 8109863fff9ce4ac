import * as assert from 'uvu/assert';
import type { HttpAnswer } from './http-call.ts';

/** Headers that belong to a connection or a moment. How long a body is shows in the body: one server says so, another sends chunks. */
const ofTheMoment = ['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length'];
/** Headers that the companion adds, and says so (docs/observing.md, docs/protocols.md). */
const ours = ['server-timing', 'x-request-id'];
const generatedId = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

export interface Tolerance {
  /** The server made up an id, another one for each request. */
  readonly generatedIds?: boolean;
  /** The answer is part of a batch: what the model said of the whole batch in these headers is nobody's. */
  readonly batched?: boolean;
}

/** Throws where an answer is not the one that the model gives without Paceline. */
export function sameAnswer(name: string, through: HttpAnswer, direct: HttpAnswer, tolerance: Tolerance = {}): void {
  assert.is(through.status, direct.status, `${name}: status\n${through.body}\n${direct.body}`);
  const bytes = (answer: HttpAnswer) =>
    tolerance.generatedIds ? answer.body.toString('latin1').replace(generatedId, 'ID') : answer.body.toString('latin1');
  assert.is(bytes(through), bytes(direct), `${name}: body`);
  const headers = (answer: HttpAnswer) => {
    const kept = Object.entries(answer.headers)
      .filter(([header]) => !ofTheMoment.includes(header) && !ours.includes(header))
      .filter(([header]) => !tolerance.batched || !header.startsWith('ce-'))
      .map(([header, value]) => [header, tolerance.generatedIds ? value.replace(generatedId, 'ID') : value]);
    return Object.fromEntries(kept.sort());
  };
  assert.equal(headers(through), headers(direct), `${name}: headers`);
}
