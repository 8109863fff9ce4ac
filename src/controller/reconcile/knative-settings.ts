import { type Chance, type Clock, jittered, pause } from '../../kube/clock.ts';
import type { KubeApi } from '../../kube/kube-api.ts';
import { isNotFound } from '../../kube/kube-error.ts';
import { kinds } from '../../kube/objects.ts';
import type { Log } from '../../telemetry/log.ts';
import { durationMs, record, text } from './fields.ts';

/** What Knative's autoscaler does where a Revision says nothing (ConfigMap config-autoscaler). */
export interface KnativeSettings {
  readonly stableWindowMs: number;
  /** Share of the target that it aims at, 0 to 1. */
  readonly targetUtilization: number;
  readonly targetBurstCapacity: number;
  /** Replicas; 0: no bound. */
  readonly minScale: number;
  readonly maxScale: number;
  /** Replicas that a Revision is made with. */
  readonly initialScale: number;
}

/** Knative's own defaults (1.21 to 1.23). */
export const knativeDefaults: KnativeSettings = {
  stableWindowMs: 60_000,
  targetUtilization: 0.7,
  targetBurstCapacity: 211,
  minScale: 0,
  maxScale: 0,
  initialScale: 1,
};

/** Reads the data of config-autoscaler. What is missing, or cannot be, is as Knative has it by default. */
export function readKnativeSettings(data: unknown): KnativeSettings {
  const said = record(data);
  const number = (name: string, otherwise: number, holds: (value: number) => boolean) => {
    const value = Number(text(said[name]) ?? Number.NaN);
    return holds(value) ? value : otherwise;
  };
  const scale = (name: string, otherwise: number) =>
    number(name, otherwise, (value) => Number.isInteger(value) && value >= 0 && value < 2 ** 31);
  // Knative takes what is not above one for a share, and all else for percent.
  const target = number('container-concurrency-target-percentage', 70, (value) => value > 0 && value <= 100);
  return {
    stableWindowMs: durationMs(said['stable-window']) ?? knativeDefaults.stableWindowMs,
    targetUtilization: target > 1 ? target / 100 : target,
    targetBurstCapacity: number('target-burst-capacity', knativeDefaults.targetBurstCapacity, (value) => value >= -1),
    minScale: scale('min-scale', knativeDefaults.minScale),
    maxScale: scale('max-scale', knativeDefaults.maxScale),
    initialScale: scale('initial-scale', knativeDefaults.initialScale),
  };
}

const readEveryMs = 60_000;
const name = 'config-autoscaler';

export interface SettingsTools {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly log: Log;
  /** Where Knative runs. */
  readonly namespace: string;
}

/** Knative's settings as they are now: read each minute, because that is all that may be done with this one object. */
export class KnativeConfig {
  readonly #tools: SettingsTools;
  readonly #stop = new AbortController();
  #settings = knativeDefaults;
  #done: Promise<void> = Promise.resolve();

  constructor(tools: SettingsTools) {
    this.#tools = tools;
  }

  get settings(): KnativeSettings {
    return this.#settings;
  }

  /** Returns once they were read, or could not be: then Knative's defaults hold until they can. */
  async start(): Promise<void> {
    await this.#read();
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { clock, chance } = this.#tools;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await pause(clock, jittered(readEveryMs, 0.1, chance), signal);
      if (!signal.aborted) await this.#read();
    }
  }

  async #read(): Promise<void> {
    const { api, log, namespace } = this.#tools;
    try {
      this.#settings = readKnativeSettings((await api.get(kinds.configMap, { namespace, name })).data);
    } catch (error) {
      if (isNotFound(error)) this.#settings = knativeDefaults;
      else log.warn({ name, error: String(error) }, "Knative's settings could not be read: those of before hold");
    }
  }
}
