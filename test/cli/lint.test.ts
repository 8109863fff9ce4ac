import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { suite } from '../support/suite.ts';

const bundle = fileURLToPath(new URL('../../dist/paceline.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'paceline-lint-'));

function lint(args: string[], input = ''): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bundle, 'lint', ...args], {
    input,
    encoding: 'utf8',
    cwd: folder,
  });
  return { status, stdout, stderr };
}

function written(name: string, annotations: string, predictor = '{}'): string {
  const text = `apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: digits
  annotations: {${annotations}}
spec:
  predictor: ${predictor}
`;
  writeFileSync(join(folder, name), text);
  return text;
}

suite('paceline lint', (test) => {
  test.after(() => rmSync(folder, { recursive: true }));

  test('a file that cannot be read, or none, ends with 2', () => {
    const { status, stderr } = lint(['nowhere.yaml']);
    assert.is(status, 2);
    assert.match(stderr, /cannot read nowhere\.yaml: there is no such file/);
    assert.match(lint(['.']).stderr, /is a directory/);
    assert.is(lint([]).status, 2);
    assert.is(lint(['-', '--deployment-mode', 'cloud']).status, 2);
  });

  test('an error ends with 1, and is a line with file, line, column, code and field', () => {
    written('wrong.yaml', 'paceline.dev/slo: fast');
    const { status, stdout } = lint(['wrong.yaml']);
    assert.is(status, 1);
    assert.match(
      stdout,
      /^wrong\.yaml:5:17: error PL_ANNOTATION_VALUE metadata\.annotations\[paceline\.dev\/slo\]: "fast"/,
    );
    assert.match(stdout, /1 object: 1 error, 0 warnings\n$/);
  });

  test('a warning ends with 0, with --strict with 1', () => {
    const text = written('warned.yaml', 'paceline.dev/slo: 200ms', '{containerConcurrency: 1}');
    assert.is(lint(['warned.yaml']).status, 0);
    assert.is(lint(['warned.yaml', '--strict']).status, 1);
    assert.match(lint(['-'], text).stdout, /^-:7:\d+: warning PL_CONCURRENCY/);
    assert.match(lint(['--deployment-mode', 'standard', '-'], text).stdout, /PL_AUTOSCALER/);
  });

  test('--json has every finding', () => {
    written('wrong.yaml', 'paceline.dev/slo: fast');
    const { findings, errors, warnings, objects } = JSON.parse(lint(['wrong.yaml', '--json']).stdout);
    assert.equal([errors, warnings, objects], [1, 0, 1]);
    const [{ message, ...finding }] = findings;
    assert.match(message, /200ms/);
    assert.equal(finding, {
      file: 'wrong.yaml',
      line: 5,
      column: 17,
      severity: 'error',
      code: 'PL_ANNOTATION_VALUE',
      field: 'metadata.annotations[paceline.dev/slo]',
      object: 'InferenceService/default/digits',
    });
  });

  test('nothing wrong ends with 0, and says when there was nothing to judge', () => {
    written('right.yaml', 'paceline.dev/slo: 200ms');
    assert.equal(lint(['right.yaml', '--strict']), {
      status: 0,
      stdout: '1 object: 0 errors, 0 warnings\n',
      stderr: '',
    });
    assert.match(lint(['-'], 'kind: Pod\n').stdout, /nothing here/);
  });
});
