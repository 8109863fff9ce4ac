import * as assert from 'uvu/assert';
import { KubeError } from '../../src/kube/kube-error.ts';
import { listAll } from '../../src/kube/list-all.ts';
import { kinds } from '../../src/kube/objects.ts';
import { ApiDouble } from '../support/api-double.ts';
import { suite } from '../support/suite.ts';

function filled(count: number): ApiDouble {
  const api = new ApiDouble();
  for (let i = 0; i < count; i++) api.seed(kinds.revision, { metadata: { namespace: 'a', name: `r-${1000 + i}` } });
  return api;
}

async function failure(api: ApiDouble): Promise<unknown> {
  try {
    for await (const _ of listAll(api, kinds.revision)) assert.unreachable();
  } catch (error) {
    return error;
  }
  return undefined;
}

suite('all objects of a kind', (test) => {
  test('what fails is said, also where it says that it has expired before it began', async () => {
    for (const status of [500, 410]) {
      const api = filled(3);
      api.before = () => {
        throw new KubeError(status, 'Whatever', 'as the test says');
      };
      assert.is(((await failure(api)) as KubeError).status, status);
    }
  });

  test('none where the cluster does not have the kind', async () => {
    const api = filled(3);
    api.before = () => {
      throw new KubeError(404, 'NotFound', 'no such kind');
    };
    assert.is(await failure(api), undefined);
  });

  test('each once, also where the list expires while it is read', async () => {
    const api = filled(600);
    const seen: string[] = [];
    for await (const { metadata } of listAll(api, kinds.revision)) {
      seen.push(metadata.name);
      if (seen.length === 100) {
        api.seed(kinds.revision, { metadata: { namespace: 'a', name: 'r-0999' } });
        api.compact();
        api.seed(kinds.revision, { metadata: { namespace: 'a', name: 'r-9999' } });
        api.compact();
      }
    }
    assert.is(new Set(seen).size, seen.length);
    assert.is(seen.length, 602);
  });
});
