const blockBytes = 512;

/** A file or folder of an archive. Everything belongs to root and has the time 0, so that equal contents are equal bytes. */
export type TarEntry =
  | { kind: 'folder'; path: string; mode?: number }
  | { kind: 'file'; path: string; mode?: number; bytes: Uint8Array };

/**
 * Writes a POSIX ustar archive, entries in the order given.
 *
 * @throws RangeError for a path that ustar cannot hold (more than 255 bytes, or no place to split it).
 */
export function tar(entries: readonly TarEntry[]): Buffer {
  const parts: Buffer[] = [];
  for (const entry of entries) {
    if (entry.kind === 'folder') {
      parts.push(header(`${entry.path}/`, entry.mode ?? 0o755, 0, '5'));
      continue;
    }
    parts.push(header(entry.path, entry.mode ?? 0o644, entry.bytes.length, '0'), Buffer.from(entry.bytes));
    const beyond = entry.bytes.length % blockBytes;
    if (beyond > 0) parts.push(Buffer.alloc(blockBytes - beyond));
  }
  // Two empty blocks end an archive.
  parts.push(Buffer.alloc(2 * blockBytes));
  return Buffer.concat(parts);
}

function header(path: string, mode: number, size: number, type: '0' | '5'): Buffer {
  const { name, prefix } = splitPath(path);
  const block = Buffer.alloc(blockBytes);
  block.write(name, 0);
  block.write(`${octal(mode, 7)}\0`, 100);
  block.write(`${octal(0, 7)}\0`, 108);
  block.write(`${octal(0, 7)}\0`, 116);
  block.write(`${octal(size, 11)}\0`, 124);
  block.write(`${octal(0, 11)}\0`, 136);
  block.write(type, 156);
  block.write('ustar\u000000', 257);
  block.write(prefix, 345);
  // The checksum counts its own field as spaces.
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148);
  return block;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

/** ustar keeps the last 100 bytes of a path apart from up to 155 bytes before them, cut at a slash. */
function splitPath(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= 100) return { name: path, prefix: '' };
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
    const prefix = path.slice(0, at);
    const name = path.slice(at + 1);
    if (name !== '' && Buffer.byteLength(name) <= 100 && Buffer.byteLength(prefix) <= 155) return { name, prefix };
  }
  throw new RangeError(`a tar archive cannot hold the path ${path}`);
}
