import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { scheduled, scheduleOf } from '../cluster/schedule.ts';
import { suite } from '../support/suite.ts';

const folder = fileURLToPath(new URL('../cluster', import.meta.url));
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => name.slice(0, -'.test.ts'.length));

suite("the order of the cluster's tests", (test) => {
  test('every file has its place, once, and no place is left without a file', () => {
    assert.equal([...scheduled].sort(), [...files].sort());
  });

  test('every file that was asked for runs once, one that nobody has placed too', () => {
    for (const alone of [false, true]) {
      const asked = [...files, 'new'];
      assert.equal(scheduleOf(asked, alone).flat(2).sort(), asked.toSorted());
      assert.equal(scheduleOf([], alone), []);
    }
  });

  test('alone means one at a time', () => {
    assert.ok(scheduleOf(files, true).every((lists) => lists.length === 1 && lists[0]?.length === 1));
  });

  test('what nobody has placed runs alone, and after all others', () => {
    assert.equal(scheduleOf(['new', ...files], false).at(-1), [['new']]);
  });
});
