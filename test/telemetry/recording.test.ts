import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { Recording } from '../../src/telemetry/recording.ts';
import { blockOf, type RecordedRequest } from '../../src/telemetry/recording-format.ts';
import { RecordingWriter, type RecordResult } from '../../src/telemetry/recording-writer.ts';
import { recordingOf } from '../support/recordings.ts';
import { suite } from '../support/suite.ts';

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'paceline-record-'));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function writer(file: string, bytesMax = 1e9) {
  const results: Partial<Record<RecordResult, number>> = {};
  const errors: Error[] = [];
  const onEnd = (result: RecordResult, count: number) => {
    results[result] = (results[result] ?? 0) + count;
  };
  const to = new RecordingWriter(file, { bytesMax, sloMs: 200 }, onEnd, (error) => errors.push(error));
  return { to, results, errors };
}

const request = (more: Partial<RecordedRequest> = {}): RecordedRequest => ({
  ...{ atMs: performance.now(), status: 200, lane: 0xfeedbeef, requestBytes: 1000, responseBytes: 20, totalMs: 31.25 },
  ...{ waitedMs: 4.5, execMs: 21.125, objectiveMs: 200, items: 3, batch: 8, outcome: 'in-time', protocol: 'v2' },
  ...more,
});

suite('a recording', (test) => {
  test('what is none, or of another version, is refused', () => {
    assert.throws(() => new Recording(Buffer.alloc(0)), /no recording/);
    assert.throws(() => new Recording(Buffer.from('{"instances":[1]}'.repeat(50))), /no recording/);
    assert.throws(() => new Recording(recordingOf([{}]).subarray(20)), /no recording/);
    const head = (value: unknown) => blockOf('H', Buffer.from(JSON.stringify(value)));
    assert.throws(() => new Recording(head({ version: 2 })), /version 2, and this program reads version 1/);
    assert.throws(() => new Recording(head({ version: 1, startedAt: 'x', sloMs: 1 })), /neither when it began/);
  });

  test('what was written is read, each field, in the order of arrival', () =>
    inFolder(async (folder) => {
      const file = join(folder, 'a.plr');
      const { to, results } = writer(file);
      const at = performance.now();
      to.add(request({ atMs: at + 20, outcome: 'late', status: 504, protocol: 'passed' }));
      to.add(request({ atMs: at + 10 }));
      await to.close();
      assert.equal(results, { written: 2 });
      const recording = new Recording(readFileSync(file));
      const [first, second] = [...recording];
      const { atMs, ...rest } = first as RecordedRequest;
      const { atMs: _, ...wanted } = request();
      assert.equal(rest, wanted);
      assert.ok(Math.abs(atMs - (performance.timeOrigin + at + 10)) < 2, 'a time of the day, to the millisecond');
      assert.equal([second?.outcome, second?.status, second?.protocol], ['late', 504, 'passed']);
      assert.ok(Math.abs((second?.atMs ?? 0) - atMs - 10) < 0.01);
      assert.is(statSync(file).mode & 0o777, 0o600);
    }));

  test('values beyond what a field holds are bounded, not wrapped', () => {
    const [record] = [...new Recording(recordingOf([{ totalMs: 1e9, items: 1e6, requestBytes: -1, waitedMs: -5 }]))];
    assert.is(record?.totalMs, 0xffffffff / 1000);
    assert.equal([record?.items, record?.requestBytes, record?.waitedMs], [0xffff, 0, 0]);
  });

  test('a writer that was killed at any byte leaves every whole block readable, and the file can be continued', () =>
    inFolder(async (folder) => {
      const whole = recordingOf([{ atMs: 1 }, { atMs: 2 }]);
      const second = recordingOf([{ atMs: 3 }, { atMs: 4 }, { atMs: 5 }]);
      for (let cut = 0; cut <= second.length; cut++) {
        const bytes = Buffer.concat([whole, second.subarray(0, cut)]);
        const recording = new Recording(bytes);
        assert.is(recording.length, cut === second.length ? 5 : 2, `${cut}`);
      }
      const file = join(folder, 'torn.plr');
      writeFileSync(file, Buffer.concat([whole, second.subarray(0, second.length - 7)]));
      const { to } = writer(file);
      to.add(request());
      await to.close();
      const recording = new Recording(readFileSync(file));
      assert.is(recording.length, 3);
      assert.ok(recording.skippedBytes > 0);
      assert.is(recording.segments.length, 3);
    }));

  test('a damaged block is left out, whatever its bytes say', () => {
    const bytes = Buffer.concat([recordingOf([{ atMs: 1 }]), recordingOf([{ atMs: 2 }])]);
    for (let i = 0; i < bytes.length; i++) {
      const damaged = Buffer.from(bytes);
      damaged.writeUInt8((damaged.readUInt8(i) + 1) & 0xff, i);
      const { length } = new Recording(damaged);
      assert.ok(length === 1 || length === 2, `${i}: ${length}`);
    }
  });

  test('a file that holds half of what it may makes room, and the last part is kept', () =>
    inFolder(async (folder) => {
      const file = join(folder, 'r.plr');
      const { to, results, errors } = writer(file, 400_000);
      // As many as a block holds go to the disk at once; a block at a time, so that none is dropped.
      for (let block = 0; block < 20; block++) {
        const written = results.written ?? 0;
        for (let i = 0; i < 1024; i++) to.add(request({ items: block }));
        while ((results.written ?? 0) < written + 1024) await new Promise((resolve) => setImmediate(resolve));
      }
      await to.close();
      assert.equal(errors, []);
      assert.equal(results, { written: 20_480 });
      assert.ok(existsSync(`${file}.1`));
      assert.ok(statSync(file).size + statSync(`${file}.1`).size <= 400_000 + 100_000);
      const last = [...new Recording(Buffer.concat([readFileSync(`${file}.1`), readFileSync(file)]))];
      assert.is(last.at(-1)?.items, 19);
    }));

  test('what the disk does not take in time is dropped and counted', () =>
    inFolder(async (folder) => {
      const { to, results } = writer(join(folder, 'd.plr'));
      for (let i = 0; i < 100 * 1024; i++) to.add(request());
      assert.ok((results.dropped ?? 0) > 0);
      await to.close();
      assert.is((results.dropped ?? 0) + (results.written ?? 0), 100 * 1024);
    }));

  test('whatever waits when it is closed is written, a block that fills meanwhile too', () =>
    inFolder(async (folder) => {
      const file = join(folder, 'c.plr');
      const { to, results } = writer(file);
      for (let i = 0; i < 5 * 1024 + 7; i++) to.add(request());
      const closed = to.close();
      for (let i = 0; i < 1030; i++) to.add(request());
      await closed;
      assert.equal(results, { written: 5 * 1024 + 7 + 1030 });
      assert.is(new Recording(readFileSync(file)).length, 5 * 1024 + 7 + 1030);
    }));

  if (existsSync('/dev/full')) {
    test('where the disk is full every record is counted, those of a block that is being filled too', async () => {
      const { to, results, errors } = writer('/dev/full');
      for (let i = 0; i < 3 * 1024 + 7; i++) to.add(request());
      await to.close();
      to.add(request());
      assert.match(String(errors[0]), /ENOSPC/);
      assert.is(errors.length, 1);
      assert.equal(results, { dropped: 3 * 1024 + 8 });
    });
  }

  test('a file that cannot be opened is an error at once', () => {
    assert.throws(() => writer('/nowhere/at/all.plr'), /ENOENT/);
  });
});
