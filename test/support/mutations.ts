// Ways in which a body goes wrong on its way, or in which somebody means it to.

const tokens = [
  'NaN',
  'Infinity',
  '-',
  '+1',
  '01',
  '-01',
  '1.',
  '.5',
  '1e',
  '1e+',
  '1.5.2',
  '1e5e5',
  '0x1f',
  '1e999',
  '-1E-999',
  '1_000',
  'nul',
  'tru',
  'False',
  'undefined',
  ',',
  ',,',
  '[',
  ']',
  '{',
  '}',
  ':',
  '"',
  '\\',
  '\\x',
  '\\u12',
  '\\ud800',
  '\\udc00\\ud800',
  "'a'",
  '//',
  '/**/',
  '\ufeff',
  '\u0000',
  '\u001f',
  '\u007f',
  '\u2028',
  '\u00a0',
  '\v',
  '\f',
  ' ',
  '\n',
  '\t',
  '"a":1,',
  '"instances":[1],',
  '"id":"x",',
  '"id":null,',
  '"inputs":[],',
  '"shape":[1],',
  '"parameters":{"timeout":1,"timeout":2},',
  '"sequence_id":1,',
  '"i\\u0064":1,',
  'null',
  'true',
  '0',
  '-1',
  '2147483648',
  '[]',
  '{}',
  '[[1],[2]]',
  '[0.5, 1.25, -3e2]',
]
  .map((token) => Buffer.from(token))
  .concat(
    // UTF-8 that is none: a lone tail, overlong forms, a surrogate, beyond U+10FFFF, cut short.
    [
      '80',
      'c0af',
      'c1bf',
      'e0809f',
      'eda080',
      'f08080af',
      'f4908080',
      'f5808080',
      'ff',
      'fe',
      'c3',
      'e282',
      'f09f98',
    ].map((hex) => Buffer.from(hex, 'hex')),
    [
      Buffer.from('['.repeat(63)),
      Buffer.from('['.repeat(70)),
      Buffer.from(']'.repeat(70)),
      Buffer.from('{"a":'.repeat(70)),
    ],
  );

/** Members with a meaning of their own, to be put at the beginning of an object. */
const members = [
  '"sequence_id":1',
  '"parameters":{"sequence_start":true}',
  '"in\\u0070uts":[]',
  '"shape":[]',
  '"shape":[0]',
  '"shape":[1,2.0]',
  '"inputs":[]',
  '"inputs":{"a":[1]}',
  '"instances":[1]',
  '"outputs":null',
  '"id":7',
  '"data":[]',
  '"timeout":"5"',
].map((text) => Buffer.from(text));

/** A generator of whole numbers below `n` from a seed. */
export function chance(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

/** One change: a bit flips, bytes are put in, taken out, doubled or cut off, a value is nested deeper. */
export function mutate(body: Buffer, below: (n: number) => number): Buffer {
  const at = below(body.length + 1);
  const length = 1 + below(4);
  const [before, behind] = [body.subarray(0, at), body.subarray(at)];
  const token = tokens[below(tokens.length)] as Buffer;
  switch (below(12)) {
    case 0: {
      const flipped = Buffer.from(body);
      if (at < body.length) flipped[at] = (flipped[at] as number) ^ (1 << below(8));
      return flipped;
    }
    case 1:
      return Buffer.concat([before, behind.subarray(length)]);
    case 2:
      return before;
    case 3: {
      const end = at + below(40);
      return Buffer.concat([body.subarray(0, end), body.subarray(at)]);
    }
    case 4: {
      const deep = 1 + below(66);
      return Buffer.from(
        body
          .toString('latin1')
          .replace(/\[(?=[^[]*$)/, '['.repeat(deep))
          .replace(/\](?=[^\]]*$)/, ']'.repeat(deep)),
        'latin1',
      );
    }
    case 5: {
      // In the place of a token, so that what follows is read as well.
      const text = body.toString('latin1');
      const places = [...text.matchAll(/"(?:[^"\\]|\\.)*"|[-0-9][-+.0-9eE]*|true|false|null/g)];
      const place = places[below(Math.max(places.length, 1))];
      if (!place) return before;
      return Buffer.concat([body.subarray(0, place.index), token, body.subarray(place.index + place[0].length)]);
    }
    case 6:
    case 7:
    case 8: {
      const braces = [...body.toString('latin1').matchAll(/\{(?=\s*")/g)];
      const brace = braces[below(Math.max(braces.length, 1))];
      if (!brace) return body;
      const member = members[below(members.length)] as Buffer;
      return Buffer.concat([
        body.subarray(0, brace.index + 1),
        member,
        Buffer.from(','),
        body.subarray(brace.index + 1),
      ]);
    }
    default:
      return Buffer.concat([before, token, behind]);
  }
}

/** The body with one or two changes: in the JSON, in the tensors, or to where the one ends. */
export function mutateRaw(
  { body, jsonBytes }: { body: Buffer; jsonBytes: number },
  below: (n: number) => number,
): { body: Buffer; jsonBytes: number } {
  let json: Buffer = body.subarray(0, jsonBytes);
  let raw: Buffer = body.subarray(jsonBytes);
  const kind = below(5);
  if (kind === 0) return { body, jsonBytes: jsonBytes + [-4, -1, 1, 2, 1e9][below(5)]! };
  if (kind === 1) raw = mutate(raw, below);
  else if (kind === 2) {
    // A size that is a little wrong.
    const text = json.toString('latin1');
    json = Buffer.from(
      text.replace(/(binary_data_size"\s*:\s*)(\d+)/, (_, key, digits) => key + (Number(digits) + below(3) - 1)),
      'latin1',
    );
  } else json = mutate(json, below);
  return { body: Buffer.concat([json, raw]), jsonBytes: json.length };
}

/** One change of a few bytes of a message of protobuf: flipped, put in, taken out, or doubled. */
export function mutateMessage(body: Buffer, below: (n: number) => number): Buffer {
  const at = below(body.length + 1);
  const length = 1 + below(4);
  switch (below(5)) {
    case 0: {
      const flipped = Buffer.from(body);
      if (at < body.length) flipped[at] = (flipped[at] as number) ^ (1 << below(8));
      return flipped;
    }
    case 1:
      return Buffer.concat([body.subarray(0, at), body.subarray(at + length)]);
    case 2:
      return body.subarray(0, at);
    case 3:
      return Buffer.concat([body.subarray(0, at + length), body.subarray(at)]);
    default: {
      const more = [
        hexed('7a 02 0102'),
        hexed('78 05'),
        hexed('3a 00'),
        hexed('1a 01 61'),
        hexed('2a 00'),
        hexed('ff'),
        hexed('80 00'),
      ];
      return Buffer.concat([body.subarray(0, at), more[below(more.length)] as Buffer, body.subarray(at)]);
    }
  }
}

function hexed(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}
