// How long each WebAssembly instruction is: the immediates behind its opcode. Core specification 2.0, section 5.4.
import type { Reader } from './sections.ts';

const vectorPrefix = 0xfd;
const miscPrefix = 0xfc;

/**
 * Reads one instruction with its immediates and returns its first opcode byte.
 *
 * @throws {Error} if the instruction is unknown: a wrong length would shift everything behind it.
 */
export function instructionAt(reader: Reader): number {
  const op = reader.byte();
  if (op === vectorPrefix) skipVector(reader);
  else if (op === miscPrefix) skipMisc(reader);
  else skipPlain(reader, op);
  return op;
}

function skipPlain(reader: Reader, op: number): void {
  if (op === 0x02 || op === 0x03 || op === 0x04)
    reader.skipLeb(); // block, loop, if: the type
  else if (op === 0x0c || op === 0x0d || op === 0x10)
    reader.skipLeb(); // br, br_if, call
  else if (op === 0x0e)
    for (let left = reader.u32() + 1; left > 0; left--) reader.skipLeb(); // br_table
  else if (op === 0x11)
    skipLebs(reader, 2); // call_indirect
  else if (op === 0x1c)
    reader.bytes(reader.u32()); // select with types
  else if (op >= 0x20 && op <= 0x26)
    reader.skipLeb(); // locals, globals, tables
  else if (op >= 0x28 && op <= 0x3e)
    skipLebs(reader, 2); // loads and stores
  else if (op === 0x3f || op === 0x40)
    reader.byte(); // memory.size, memory.grow
  else if (op === 0x41 || op === 0x42)
    reader.skipLeb(); // i32.const, i64.const
  else if (op === 0x43)
    reader.bytes(4); // f32.const
  else if (op === 0x44)
    reader.bytes(8); // f64.const
  else if (!isBare(op)) throw new Error(`unknown instruction 0x${op.toString(16)}`);
}

/** Instructions without immediates: control marks, drop and select, comparison, arithmetic, conversion. */
function isBare(op: number): boolean {
  return (
    op <= 0x01 || op === 0x05 || op === 0x0b || op === 0x0f || op === 0x1a || op === 0x1b || (op >= 0x45 && op <= 0xc4)
  );
}

function skipMisc(reader: Reader): void {
  const op = reader.u32();
  if (op <= 7) return; // saturating conversions
  if (op === 8 || op === 10 || op === 12 || op === 14)
    skipLebs(reader, 2); // init and copy
  else if (op <= 17) reader.skipLeb();
  else throw new Error(`unknown instruction 0xfc ${op}`);
}

function skipVector(reader: Reader): void {
  const op = reader.u32();
  if (op <= 11 || op === 92 || op === 93)
    skipLebs(reader, 2); // loads and stores
  else if (op === 12 || op === 13)
    reader.bytes(16); // v128.const, i8x16.shuffle
  else if (op >= 21 && op <= 34)
    reader.byte(); // lanes
  else if (op >= 84 && op <= 91) {
    skipLebs(reader, 2);
    reader.byte(); // loads and stores of one lane
  } else if (op > 255) throw new Error(`unknown instruction 0xfd ${op}`);
}

function skipLebs(reader: Reader, count: number): void {
  for (let left = count; left > 0; left--) reader.skipLeb();
}
