// What callers ask of the models, whatever the protocol: what is answered, and what is refused.
import type { Datatype, Inference, Tensor } from './tensors.ts';

/** A tensor of the strict model. */
export function strictRows(rows: number, value: number): Tensor {
  return x('FP32', [rows, 4], (i) => value + i / 4);
}

export function x(datatype: Datatype, shape: number[], element: (index: number) => Tensor['data'][number]): Tensor {
  const count = shape.reduce((product, each) => product * each, 1);
  return { name: 'x', datatype, shape, data: Array.from({ length: count }, (_, i) => element(i)) };
}

const int64Extremes = [9223372036854775807n, -9223372036854775808n, 0n, 9007199254740993n];
const halves = [0x3c00, 0xbc00, 0x7bff, 0x0001, 0x8000, 0x3555];
const texts = ['', 'plain', '"quoted" \\ and,]}', 'zwölf Boxkämpfer', '😀'];

/** One of each datatype and shape. */
export const tensorsOfEachKind: readonly Tensor[] = [
  x('BOOL', [2, 3], (i) => i % 2 === 0),
  x('INT8', [3, 1], (i) => i * 60 - 100),
  x('INT32', [2, 2], (i) => (i % 2 === 0 ? -2147483648 : 2147483647)),
  x('INT64', [2, 2], (i) => int64Extremes[i] as bigint),
  x('UINT64', [1, 2], (i) => (i === 0 ? 18446744073709551615n : 0n)),
  x('FP16', [2, 3], (i) => halves[i] as number),
  x('FP32', [1, 4], (i) => i * 1.1 - 2),
  x('FP32', [2, 2, 3], (i) => i / 7),
  x('FP64', [2, 2], (i) => [1e-308, -1.7976931348623157e308, 0.1, 1e22][i] as number),
  x('BYTES', [5, 1], (i) => texts[i] as string),
];

/** What is answered; all but the first with an id. */
export const answered: readonly (readonly [string, Inference])[] = [
  ['without an id', { model: 'peer', tensors: [x('FP32', [1, 4], (i) => i)] }],
  ...tensorsOfEachKind.map((tensor, i): [string, Inference] => [
    `${tensor.datatype} ${tensor.shape.join('x')}`,
    { model: 'peer', id: `kind-${i}`, tensors: [tensor] },
  ]),
  [
    'two tensors of two kinds',
    {
      model: 'peer',
      id: 'two "tensors" é',
      tensors: [
        { ...x('FP64', [2, 3], (i) => i / 3), name: 'numbers' },
        { ...x('BYTES', [2, 1], (i) => `text ${i}`), name: 'texts' },
      ],
    },
  ],
  [
    'chosen outputs',
    {
      model: 'peer',
      id: 'chosen',
      tensors: [x('INT32', [2, 2], (i) => i)],
      outputs: [{ name: 'sums' }, { name: 'x_out' }],
    },
  ],
  [
    'one request parameter',
    { model: 'peer', id: 'with', tensors: [x('INT32', [1, 2], (i) => i)], parameters: { tenant: 'first' } },
  ],
  ['the strict model', { model: 'strict', id: 'ok', tensors: [strictRows(3, 1)] }],
  ['as many rows as it takes', { model: 'strict', id: 'full', tensors: [strictRows(64, 1)] }],
];

/** What the model or the server refuses. */
export const refused: readonly (readonly [string, Inference])[] = [
  ['an unknown model', { model: 'nobody', id: 'r1', tensors: [strictRows(1, 1)] }],
  ['an unknown version', { model: 'strict', version: '77', id: 'r2', tensors: [strictRows(1, 1)] }],
  ['a row of another width', { model: 'strict', id: 'r3', tensors: [x('FP32', [1, 3], (i) => i)] }],
  ['another number of dimensions', { model: 'strict', id: 'r4', tensors: [x('FP32', [1, 2, 2], (i) => i)] }],
  ['another datatype', { model: 'strict', id: 'r5', tensors: [x('FP64', [1, 4], (i) => i)] }],
  ['a missing input', { model: 'strict', id: 'r6', tensors: [{ ...strictRows(1, 1), name: 'y' }] }],
  ['too many rows', { model: 'strict', id: 'r7', tensors: [strictRows(65, 1)] }],
  ['a row that the model refuses', { model: 'strict', id: 'r8', tensors: [strictRows(2, -1)] }],
  ['an unknown output', { model: 'peer', id: 'r9', tensors: [strictRows(1, 1)], outputs: [{ name: 'nothing' }] }],
];

/** What one of many callers at once asks, so that lanes of several kinds fill side by side. */
export function ofCrowd(caller: number): Inference {
  const id = `caller ${caller}`;
  if (caller % 3 === 0)
    return { model: 'peer', id, tensors: [x('INT64', [1, 2], (i) => BigInt(caller) * 2n ** 55n + BigInt(i))] };
  if (caller % 3 === 1)
    return { model: 'peer', id, tensors: [x('FP32', [1 + (caller % 2), 3], (i) => caller + i / 8)] };
  return { model: 'peer', id, tensors: [x('BYTES', [2, 1], (i) => `"${'€'.repeat(caller % 7)}" of ${caller}, ${i}`)] };
}

/** The same at the strict model, where one in eight is refused and must not spoil the others. */
export function ofMixedCrowd(caller: number): Inference {
  return {
    model: 'strict',
    id: `caller ${caller}`,
    tensors: [strictRows(1 + (caller % 2), caller % 8 === 3 ? -caller : caller)],
  };
}
