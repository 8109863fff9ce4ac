// Makes a WebAssembly module count the instructions that it executes.
//
// Only the code section, the globals and the exports change: at the head of every straight-line stretch the module adds
// the stretch's length to a new exported global. A stretch ends where control may go elsewhere or come from elsewhere: at
// `loop`, `if`, `else`, `end`, a branch or a return. What is counted is what ships, instruction by instruction, not what
// a compiler would make of it. `block`, `loop`, `else` and `end` are marks that cost nothing and are not counted.
import { instructionAt } from './instructions.ts';
import { joined, leb, Reader, signedLeb, vector } from './sections.ts';

/** The exported global: an i64, so a BigInt on the host's side. */
export const counterExport = 'executed_instructions';

enum Section {
  Import = 2,
  Global = 6,
  Export = 7,
  Code = 10,
}

enum Op {
  Unreachable = 0x00,
  Block = 0x02,
  Loop = 0x03,
  If = 0x04,
  Else = 0x05,
  End = 0x0b,
  Br = 0x0c,
  BrIf = 0x0d,
  BrTable = 0x0e,
  Return = 0x0f,
  GlobalGet = 0x23,
  GlobalSet = 0x24,
  I64Const = 0x42,
  I64Add = 0x7c,
}

/**
 * The module with its counter. Deterministic: the same bytes give the same bytes.
 *
 * @throws {Error} if the module uses an instruction that is unknown here, or imports globals.
 */
export function instrument(module: Uint8Array): Uint8Array {
  const sections = new Reader(module).sections();
  const find = (id: Section) => sections.find((section) => section.id === id);
  if (find(Section.Import)) throw new Error('kernels have no imports: a module with imports is not counted');
  const globals = find(Section.Global);
  const counter = globals ? new Reader(globals.body).u32() : 0;
  const changed = new Map<number, (body: Uint8Array) => Uint8Array>([
    [Section.Global, (body) => appended(body, counterGlobal)],
    [Section.Export, (body) => appended(body, exported(counter))],
    [Section.Code, (body) => countedCode(body, counter)],
  ]);
  if (!globals) sections.push({ id: Section.Global, body: Uint8Array.of(0) });
  if (!find(Section.Export)) sections.push({ id: Section.Export, body: Uint8Array.of(0) });
  sections.sort((a, b) => orderOf(a.id) - orderOf(b.id));
  const parts = sections.map(({ id, body }) => {
    const next = changed.get(id)?.(body) ?? body;
    return joined(Uint8Array.of(id), leb(next.length), next);
  });
  return joined(module.subarray(0, 8), ...parts);
}

/** Names of custom sections do not matter; the data count (12) stands before the code. */
function orderOf(id: number): number {
  if (id === 0) return 100;
  return id === 12 ? 9.5 : id;
}

/** `mut i64 = 0`. */
const counterGlobal = Uint8Array.of(0x7e, 0x01, Op.I64Const, 0x00, Op.End);

function exported(global: number): Uint8Array {
  const name = new TextEncoder().encode(counterExport);
  return joined(vector(name), Uint8Array.of(0x03), leb(global));
}

/** A section's vector with one more entry. */
function appended(body: Uint8Array, entry: Uint8Array): Uint8Array {
  const reader = new Reader(body);
  const count = reader.u32();
  return joined(leb(count + 1), reader.rest(), entry);
}

function countedCode(body: Uint8Array, counter: number): Uint8Array {
  const reader = new Reader(body);
  const count = reader.u32();
  const functions: Uint8Array[] = [];
  for (let i = 0; i < count; i++) functions.push(vector(countedFunction(reader.bytes(reader.u32()), counter)));
  return joined(leb(count), ...functions);
}

function countedFunction(code: Uint8Array, counter: number): Uint8Array {
  const reader = new Reader(code);
  const groups = reader.u32();
  for (let i = 0; i < groups; i++) {
    reader.u32();
    reader.byte();
  }
  const parts: Uint8Array[] = [code.subarray(0, reader.at)];
  let from = reader.at;
  let length = 0;
  const flush = (to: number) => {
    if (length > 0) parts.push(bump(counter, length));
    parts.push(code.subarray(from, to));
    from = to;
    length = 0;
  };
  while (reader.at < code.length) {
    const start = reader.at;
    const op = instructionAt(reader);
    // Control may come to the marks from elsewhere: the stretch before them ends without them.
    if (op === Op.Loop || op === Op.Else || op === Op.End) flush(start);
    if (op !== Op.Block && op !== Op.Loop && op !== Op.Else && op !== Op.End) length++;
    if (leaves(op)) flush(reader.at);
    else if (op === Op.Loop || op === Op.Else || op === Op.End) flush(reader.at);
  }
  flush(code.length);
  return joined(...parts);
}

function leaves(op: number): boolean {
  return (
    op === Op.If || op === Op.Br || op === Op.BrIf || op === Op.BrTable || op === Op.Return || op === Op.Unreachable
  );
}

function bump(counter: number, length: number): Uint8Array {
  return joined(
    Uint8Array.of(Op.GlobalGet),
    leb(counter),
    Uint8Array.of(Op.I64Const),
    signedLeb(length),
    Uint8Array.of(Op.I64Add, Op.GlobalSet),
    leb(counter),
  );
}
