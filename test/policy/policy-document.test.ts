import { generateKeyPairSync, type KeyPairKeyObjectResult, sign } from 'node:crypto';
import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { documentRefusals } from '../../src/policy/document-refusals.ts';
import {
  clockSkewMs,
  DocumentGate,
  documentBytesMax,
  documentTtlMsMax,
  type PolicyDocument,
  signDocument,
} from '../../src/policy/policy-document.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { suite } from '../support/suite.ts';

interface Pair {
  readonly publicKey: string;
  readonly privateKey: string;
}

function pairOf(make: () => KeyPairKeyObjectResult): Pair {
  const { publicKey, privateKey } = make();
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}

const current = pairOf(() => generateKeyPairSync('ed25519'));
const next = pairOf(() => generateKeyPairSync('ed25519'));
const stranger = pairOf(() => generateKeyPairSync('ed25519'));
const identity = { isvcUid: '7a1c', revision: 'digits-00003' };
const keys = { current: current.publicKey, next: next.publicKey };
const now = Date.UTC(2026, 0, 1);

function documentOf(over: Partial<PolicyDocument> = {}): PolicyDocument {
  return {
    schemaVersion: 1,
    ...identity,
    issuedAt: now,
    sequence: [2, 10],
    ttlMs: documentTtlMsMax,
    mode: 'act',
    maxBatchSize: 32,
    patience: 0.5,
    ...over,
  };
}

function gate(): DocumentGate {
  return new DocumentGate(keys, identity);
}

function signed(over: Partial<PolicyDocument> = {}, key = current): string {
  return signDocument(documentOf(over), key.privateKey);
}

/** Signs bytes as the controller would, whatever they say. */
function forged(payload: string | Buffer, key = current.privateKey, context = 'paceline policy document\0'): string {
  const bytes = Buffer.from(payload);
  const signature = sign(null, Buffer.concat([Buffer.from(context), bytes]), key);
  return `${bytes.toString('base64url')}.${signature.toString('base64url')}`;
}

/** Why a fresh gate does not take this. */
function refusal(text: string, at = now, by = gate()): string | undefined {
  const answer = by.accept(text, at);
  return 'refused' in answer ? answer.refused : undefined;
}

function says(over: object): string {
  return JSON.stringify({ ...documentOf(), ...over });
}

suite('attacks on policy documents', (test) => {
  test('replay, and an older sequence: of the same leader, or of one before', () => {
    const held = gate();
    const text = signed();
    assert.ok('document' in held.accept(text, now));
    assert.equal(held.accept(text, now + 1), { refused: 'PL_POLICY_SEQUENCE' });
    assert.equal(held.accept(signed({ sequence: [2, 9] }), now), { refused: 'PL_POLICY_SEQUENCE' });
    assert.equal(held.accept(signed({ sequence: [1, 99] }), now), { refused: 'PL_POLICY_SEQUENCE' });
    assert.ok('document' in held.accept(signed({ sequence: [3, 0] }), now));
    assert.equal(held.accept(signed({ sequence: [2, 99] }), now), { refused: 'PL_POLICY_SEQUENCE' });
    assert.equal(held.sequence, [3, 0]);
  });

  test('an older sequence after the newer one has expired', () => {
    const held = gate();
    held.accept(signed({ ttlMs: 1000 }), now);
    const later = now + 60_000;
    assert.is(held.current(later), undefined);
    assert.equal(held.accept(signed({ sequence: [2, 9], issuedAt: later }), later), { refused: 'PL_POLICY_SEQUENCE' });
  });

  test('the old key after a rotation', () => {
    const held = gate();
    assert.ok('document' in held.accept(signed({ sequence: [2, 10] }), now));
    assert.ok('document' in held.accept(signed({ sequence: [2, 11] }, next), now));
    assert.equal(held.accept(signed({ sequence: [9, 0] }), now), { refused: 'PL_POLICY_SIGNATURE' });
    assert.ok('document' in held.accept(signed({ sequence: [2, 12] }, next), now));
  });

  test('a refused document under the next key does not retire the current one', () => {
    const held = gate();
    assert.equal(held.accept(signed({ revision: 'other' }, next), now), { refused: 'PL_POLICY_TARGET' });
    assert.ok('document' in held.accept(signed(), now));
  });

  test('another target, another revision', () => {
    assert.is(refusal(signed({ isvcUid: '7a1d' })), 'PL_POLICY_TARGET');
    assert.is(refusal(signed({ revision: 'digits-00002' })), 'PL_POLICY_TARGET');
  });

  test('oversize, measured before the signature is looked at', () => {
    assert.is(refusal('a'.repeat(documentBytesMax + 1)), 'PL_POLICY_SIZE');
    assert.is(refusal(forged(says({ hint: 'x'.repeat(documentBytesMax) }))), 'PL_POLICY_SIZE');
    assert.is(refusal('é'.repeat(documentBytesMax / 2 + 1)), 'PL_POLICY_SIZE', 'bytes, not letters');
    const padding = 'x'.repeat(Math.floor((documentBytesMax * 3) / 4) - 400);
    assert.is(refusal(forged(says({ hint: padding }))), undefined);
  });

  test('clocks that are apart, both ways', () => {
    assert.is(refusal(signed({ issuedAt: now + clockSkewMs })), undefined);
    assert.is(refusal(signed({ issuedAt: now + clockSkewMs + 1 })), 'PL_POLICY_EARLY');
    const lastMoment = now + documentTtlMsMax + clockSkewMs;
    assert.is(refusal(signed(), lastMoment), undefined);
    assert.is(refusal(signed(), lastMoment + 1), 'PL_POLICY_EXPIRED');
  });

  test('a life longer than 5 minutes, and one that began in another age', () => {
    for (const over of [{ ttlMs: documentTtlMsMax + 1 }, { ttlMs: 0 }, { ttlMs: 1e300 }, { issuedAt: -1 }]) {
      assert.is(refusal(forged(says(over))), 'PL_POLICY_VALUE', JSON.stringify(over));
    }
  });

  test('truncated, at every length', () => {
    const text = signed();
    const one = gate();
    for (let length = 0; length < text.length; length++) {
      assert.match(refusal(text.slice(0, length), now, one) ?? '', /^PL_POLICY_(FORMAT|SIGNATURE)$/, `${length}`);
    }
  });

  test('altered in payload or signature, any letter', () => {
    const text = signed();
    const one = gate();
    const letters = fc.constantFrom(...'ABCDEFGHabcdefgh0123-_.=+/ é');
    fc.assert(
      fc.property(fc.nat(text.length - 1), letters, (at, letter) => {
        fc.pre(text[at] !== letter);
        assert.match(
          refusal(text.slice(0, at) + letter + text.slice(at + 1), now, one) ?? '',
          /^PL_POLICY_(FORMAT|SIGNATURE)$/,
        );
      }),
      propertyRuns(500, 21),
    );
    const [payload = ''] = signed({ mode: 'off' }).split('.');
    assert.is(refusal(`${payload}.${text.split('.')[1]}`), 'PL_POLICY_SIGNATURE');
  });

  test('the wrong key, the wrong algorithm, the right key over something else', () => {
    assert.is(refusal(signed({}, stranger)), 'PL_POLICY_SIGNATURE');
    assert.is(refusal(forged(says({}), current.privateKey, '')), 'PL_POLICY_SIGNATURE');
    const [payload = ''] = signed().split('.');
    assert.is(refusal(`${payload}.${Buffer.alloc(64).toString('base64url')}`), 'PL_POLICY_SIGNATURE');
    const rsa = pairOf(() => generateKeyPairSync('rsa', { modulusLength: 1024 }));
    const curve = pairOf(() => generateKeyPairSync('ec', { namedCurve: 'P-256' }));
    assert.is(
      refusal(`${payload}.${sign('sha256', Buffer.from(payload), rsa.privateKey).toString('base64url')}`),
      'PL_POLICY_FORMAT',
    );
    const p1363 = sign('sha256', Buffer.from(payload), { key: curve.privateKey, dsaEncoding: 'ieee-p1363' });
    assert.is(refusal(`${payload}.${p1363.toString('base64url')}`), 'PL_POLICY_SIGNATURE');
    for (const other of [rsa, curve, pairOf(() => generateKeyPairSync('ed448'))]) {
      assert.throws(() => new DocumentGate({ current: other.publicKey }, identity), /Ed25519/);
      assert.throws(() => signDocument(documentOf(), other.privateKey), /Ed25519/);
    }
  });

  test('base64 and JSON that are none, or have another spelling', () => {
    const text = signed();
    const [payload = '', signature = ''] = text.split('.');
    for (const other of [
      '',
      '.',
      payload,
      `${payload}.`,
      `.${signature}`,
      `${text}.`,
      `${text}.${signature}`,
      ` ${text}`,
      `${text}\n`,
      `${payload}=.${signature}`,
      `${payload}.${signature}==`,
      `${payload.slice(0, 4)}\n${payload.slice(4)}.${signature}`,
    ]) {
      assert.is(refusal(other), 'PL_POLICY_FORMAT', JSON.stringify(other));
    }
    for (const bytes of ['{', 'null', '3', '"text"', '[1', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])]) {
      assert.is(refusal(forged(bytes)), 'PL_POLICY_FORMAT', String(bytes));
    }
    assert.is(refusal(forged('[]')), 'PL_POLICY_SCHEMA');
  });

  test('fields of the wrong kind', () => {
    for (const over of [
      { mode: 'on' },
      { mode: undefined },
      { sequence: [1] },
      { sequence: [1, 2, 3] },
      { sequence: ['1', 2] },
      { sequence: [1.5, 2] },
      { issuedAt: String(now) },
      { maxBatchSize: 0 },
      { maxBatchSize: 1e9 },
      { patience: 2 },
      { patience: 'none' },
      { sloMs: 0 },
      { sloQuantile: 1 },
      { late: 'drop' },
      { lateTimeoutMs: null },
      { isvcUid: '' },
      { revision: 3 },
    ]) {
      assert.is(refusal(forged(says(over))), 'PL_POLICY_VALUE', JSON.stringify(over));
    }
  });

  test('fields that this version does not know are left out, also such as JavaScript knows', () => {
    const text = forged(says({ hint: 1 }).replace(/\}$/, ',"__proto__":{"mode":"off"},"constructor":{"x":1}}'));
    assert.equal(gate().accept(text, now), { document: documentOf() });
    const hidden = forged(says({ mode: undefined }).replace(/\}$/, ',"__proto__":{"mode":"act"}}'));
    assert.is(refusal(hidden), 'PL_POLICY_VALUE', 'a prototype is no field');
  });

  test('a schema version from the future', () => {
    for (const schemaVersion of [2, 0, '1', null, undefined]) {
      assert.is(refusal(forged(says({ schemaVersion }))), 'PL_POLICY_SCHEMA', String(schemaVersion));
    }
  });

  test('anything at all is refused, with a code that has an answer', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string({ unit: 'binary' }),
          fc.json().map((text) => forged(text)),
        ),
        (text) => {
          const code = refusal(text);
          assert.ok(code !== undefined && code in documentRefusals, code);
        },
      ),
      propertyRuns(300, 22),
    );
  });
});

suite('policy documents', (test) => {
  test('what no companion would take is not signed', () => {
    assert.throws(() => signed({ maxBatchSize: 0 }), /maxBatchSize/);
    assert.throws(() => signed({ ttlMs: documentTtlMsMax + 1 }), /ttlMs/);
    const long = { ...documentOf(), hint: 'x'.repeat(documentBytesMax) };
    assert.throws(() => signDocument(long, current.privateKey), /too long/);
  });

  test('the newest one holds until it expires; then nothing does', () => {
    const held = gate();
    assert.is(held.current(now), undefined);
    held.accept(signed(), now);
    held.accept(signed({ sequence: [2, 11], mode: 'off', ttlMs: 10_000 }), now);
    assert.is(held.current(now)?.mode, 'off');
    assert.is(held.current(now + 10_000 + clockSkewMs)?.mode, 'off');
    assert.is(held.current(now + 10_001 + clockSkewMs), undefined);
    assert.equal(held.sequence, [2, 11]);
  });

  test('a refusal leaves what held', () => {
    const held = gate();
    held.accept(signed(), now);
    for (const text of [
      'x',
      signed({}, stranger),
      signed({ sequence: [2, 1] }),
      signed({ revision: 'x', sequence: [9, 9] }),
    ]) {
      assert.ok('refused' in held.accept(text, now));
    }
    assert.equal(held.current(now), documentOf());
  });

  test('a clock that jumps back does not bring an expired document to life for longer than it has', () => {
    const held = gate();
    held.accept(signed({ ttlMs: 1000 }), now);
    assert.is(held.current(now + 100_000), undefined);
    assert.is(held.current(now - 3_600_000), undefined, 'not from before it was issued');
  });

  test('keys are read from PEM and from base64', () => {
    const short = ({ publicKey }: Pair) => publicKey.replace(/-----[^-]+-----|\n/g, '');
    const held = new DocumentGate({ current: short(current), next: short(next) }, identity);
    assert.ok('document' in held.accept(signed({}, next), now));
    assert.throws(() => new DocumentGate({ current: short(current).slice(0, 20) }, identity));
    assert.throws(() => new DocumentGate({ current: '' }, identity));
  });

  test('the same document is the same text', () => {
    assert.is(signed(), signed());
  });
});
