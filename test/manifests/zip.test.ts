import { deflateRawSync } from 'node:zlib';
import * as assert from 'uvu/assert';
import { extractFromZip } from '../../scripts/manifests/zip.ts';
import { suite } from '../support/suite.ts';

/** An archive of these files, each stored or deflated, with extra bytes in the local headers alone. */
function zipOf(files: readonly { name: string; text: string; deflate: boolean }[]): Buffer {
  const locals: Buffer[] = [];
  const entries: Buffer[] = [];
  let offset = 0;
  for (const { name, text, deflate } of files) {
    const data = deflate ? deflateRawSync(text) : Buffer.from(text);
    const local = Buffer.alloc(30 + name.length + 4);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    local.writeUInt16LE(4, 28);
    local.write(name, 30);
    const entry = Buffer.alloc(46 + name.length);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(deflate ? 8 : 0, 10);
    entry.writeUInt32LE(data.length, 20);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(offset, 42);
    entry.write(name, 46);
    locals.push(local, data);
    entries.push(entry);
    offset += local.length + data.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, ...entries, end]);
}

suite('zip archives', (test) => {
  test('what is no archive, is damaged, or lacks the file is refused', () => {
    assert.throws(() => extractFromZip(Buffer.from('hello'), 'a'), /not a zip archive/);
    const zip = zipOf([{ name: 'a', text: 'x', deflate: false }]);
    assert.throws(() => extractFromZip(zip, 'b'), /holds no b/);
    zip.writeUInt32LE(0, zip.readUInt32LE(zip.length - 6));
    assert.throws(() => extractFromZip(zip, 'a'), /damaged/);
  });

  test('stored and deflated files come out as they went in', () => {
    const zip = zipOf([
      { name: 'folder/first', text: 'one'.repeat(100), deflate: true },
      { name: 'second', text: 'two', deflate: false },
    ]);
    assert.is(extractFromZip(zip, 'folder/first').toString(), 'one'.repeat(100));
    assert.is(extractFromZip(zip, 'second').toString(), 'two');
  });
});
