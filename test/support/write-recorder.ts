import type { ActuationContext } from '../../src/controller/actuators/actuator.ts';
import type { KubeApi } from '../../src/kube/kube-api.ts';
import { KubeError } from '../../src/kube/kube-error.ts';
import type { KubeObject, ObjectName, ResourceKind } from '../../src/kube/objects.ts';
import type { Log } from '../../src/telemetry/log.ts';

const silent = new Proxy({}, { get: () => () => undefined }) as Log;

/** Notes the writes of an actuator, and fails those that the test says. Reading is not what these tests are about. */
export class WriteRecorder {
  readonly writes: { verb: string; kind: string; name: string; body?: unknown }[] = [];
  fail: number | undefined;
  leads = true;

  get context(): ActuationContext {
    return { api: this.#api(), log: silent, nowMs: 1000, monotonicMs: 1000, leads: () => this.leads, transitions: 1 };
  }

  #api(): KubeApi {
    const note = (verb: string, kind: ResourceKind, name: string, body?: unknown): void => {
      if (this.fail !== undefined) throw new KubeError(this.fail, 'Failed', 'as the test says');
      this.writes.push({ verb, kind: kind.kind, name, body });
    };
    const unread = async (): Promise<never> => {
      throw new Error('an actuator does not read');
    };
    return {
      get: unread,
      list: unread,
      // biome-ignore lint/correctness/useYield: it is never asked for anything.
      watch: async function* () {
        throw new Error('an actuator does not watch');
      },
      create: unread,
      replace: unread,
      scale: unread,
      apply: async (kind: ResourceKind, object: KubeObject) => {
        note('apply', kind, object.metadata.name, object);
        return object;
      },
      mergePatch: async (kind: ResourceKind, { name }: ObjectName, patch: object) => {
        note('patch', kind, name, patch);
        return { metadata: { name } };
      },
      delete: async (kind: ResourceKind, { name }: ObjectName) => note('delete', kind, name),
    };
  }
}
