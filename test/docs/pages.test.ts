import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { pages } from '../../scripts/docs/pages.ts';
import { errorSpecs } from '../../src/companion/errors.ts';
import { Reason, reasonLabel } from '../../src/kernels/reasons.ts';
import { companionOptionSpecs } from '../../src/policy/companion-options.ts';
import { suite } from '../support/suite.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string) => readFileSync(join(root, file), 'utf8');

suite('generated pages', (test) => {
  for (const [path, page] of Object.entries(pages)) {
    test(`${path} is what \`npm run docs\` writes`, () => {
      assert.is(read(path), page(), 'stale: run `npm run docs`');
    });
  }

  test('every error code in the source is on the page of errors', () => {
    const page = read('docs/errors.md');
    const sources = execFileSync('git', ['ls-files', 'src', 'assembly'], { cwd: root, encoding: 'utf8' }).split('\n');
    const used = new Set(
      sources
        .filter((file) => file.endsWith('.ts') && existsSync(join(root, file)))
        .flatMap((file) => read(file).match(/\bPL_[A-Z_]+\b/g) ?? []),
    );
    assert.ok(used.size >= Object.keys(errorSpecs).length);
    for (const name of used) assert.ok(page.includes(`| \`${name}\` |`), name);
  });

  test('every reason is on the page of reasons, and every refusal says its answer', () => {
    const page = read('docs/reasons.md');
    for (const reason of Object.values(Reason).filter((each) => typeof each === 'number' && each !== Reason.None)) {
      assert.match(page, new RegExp(`^\\| \`${reasonLabel(reason as Reason)}\` \\| ${reason} \\| [A-Z].+\\. \\|`, 'm'));
    }
    assert.match(page, /\| `queue-full` \| 32 \| .* \| 503 `PL_QUEUE_FULL` \|/);
  });

  test('every option is on the page of configuration', () => {
    const page = read('docs/configuration.md');
    for (const { flag } of companionOptionSpecs) assert.match(page, new RegExp(`^\\| \`--${flag}\` \\|`, 'm'));
  });

  test('links between the pages lead somewhere', () => {
    const files = execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' })
      .split('\n')
      .filter(Boolean);
    for (const file of [...files, ...Object.keys(pages)]) {
      for (const [, target] of read(file).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
        assert.ok(existsSync(join(root, dirname(file), target as string)), `${file} -> ${target}`);
      }
    }
  });
});
