import type { Registry } from 'prom-client';
import type { Clock } from '../kube/clock.ts';
import type { KubeApi } from '../kube/kube-api.ts';
import type { Log } from '../telemetry/log.ts';
import type { PolicyKeys } from './policy-keys.ts';

/** What the controller's process gives to the parts that run in it. */
export interface PartContext {
  readonly api: KubeApi;
  readonly log: Log;
  readonly clock: Clock;
  /** Where a part registers what /metrics shows. */
  readonly metrics: Registry;
  readonly policyKeys: PolicyKeys;
  /** The namespace of the controller itself. */
  readonly namespace: string;
  /** This replica's name. */
  readonly identity: string;
  /** How often the lease has changed hands until this replica got it: the first part of a document's sequence. */
  readonly leaseTransitions: number;
  /** Whether this replica leads at this moment: asked before every write, because a stop may come late. */
  readonly leads: () => boolean;
}

/**
 * Something that one replica does: it is started when this one becomes the leader, and stopped when it no longer is.
 * It may be started again later.
 */
export interface LeaderPart {
  readonly name: string;
  /** Begins. @throws where it cannot: the process then gives up the lease and ends, so that another one can try. */
  start(context: PartContext): Promise<void>;
  /** Ends before it returns: nothing is written afterwards. */
  stop(): Promise<void>;
}
