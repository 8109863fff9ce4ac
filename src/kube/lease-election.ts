import { type Chance, type Clock, jittered, pause } from './clock.ts';
import type { KubeApi } from './kube-api.ts';
import { isConflict, isNotFound } from './kube-error.ts';
import type { KubeLog } from './kube-log.ts';
import { type KubeObject, kinds, type ObjectName } from './objects.ts';

export interface LeaseOptions {
  readonly lease: ObjectName;
  /** Who we are: unique among all that ever run, such as the pod's name and a random part. */
  readonly identity: string;
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly log: KubeLog;
  /** A lease that was not renewed for this long may be taken. Default 15 s. */
  readonly durationMs?: number;
  /** A leader that could not renew for this long stops leading. Default 10 s: it must be less than the duration. */
  readonly renewWithinMs?: number;
  /** Time between two tries. Default 2 s. */
  readonly retryMs?: number;
  /**
   * Whether a holder ends while it still holds the lease. Of such a one the time that it wrote counts too: it can have ended
   * long before we began. Default: nobody does.
   */
  readonly outlives?: (holder: string) => boolean;
  readonly onChange?: (leads: boolean) => void;
}

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly leaseTransitions?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
}

/** What the clocks of two machines may be apart where a written time counts. */
const skewMs = 60_000;

/**
 * One leader among several processes, by a Lease. How old another's lease is is measured from when *we* saw it change, so
 * that clocks that differ or jump make no second leader. The time written in it counts only for a holder that is known to
 * end without giving it up, and only once it was silent for as long as any leader may be.
 */
export class LeaseElection {
  readonly #options: Required<Omit<LeaseOptions, 'onChange'>> & Pick<LeaseOptions, 'onChange'>;
  readonly #stop = new AbortController();
  /** On the monotonic clock: until when what we hold is ours for certain. */
  #heldUntilMs = Number.NEGATIVE_INFINITY;
  #announced = false;
  #transitions = 0;
  #seen: { version: string; atMs: number } | undefined;
  /** Whose end was announced as what we wait for. */
  #awaited: string | undefined;
  #done: Promise<void> = Promise.resolve();

  constructor(options: LeaseOptions) {
    this.#options = { durationMs: 15_000, renewWithinMs: 10_000, retryMs: 2_000, outlives: () => false, ...options };
  }

  /** Whether we lead at this moment. False as soon as a renewal is overdue, even while a request hangs. */
  get leads(): boolean {
    return this.#options.clock.monotonicMs() < this.#heldUntilMs;
  }

  /** How often the lease changed hands up to our holding it: later leaders have larger numbers. */
  get transitions(): number {
    return this.#transitions;
  }

  start(): void {
    this.#done = this.#run();
  }

  /** Stops, and gives the lease up so that another one need not wait for it to end. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
    if (!this.leads) return;
    this.#heldUntilMs = Number.NEGATIVE_INFINITY;
    this.#announce();
    try {
      const held = await this.#options.api.get(kinds.lease, this.#options.lease);
      if (specOf(held).holderIdentity === this.#options.identity)
        await this.#write(held, { holderIdentity: '', leaseDurationSeconds: 1 });
    } catch (error) {
      this.#options.log.warn({ error: String(error) }, 'the lease could not be given up: it ends by itself');
    }
  }

  async #run(): Promise<void> {
    const { clock, chance, retryMs, log } = this.#options;
    while (!this.#stop.signal.aborted) {
      try {
        await this.#try();
      } catch (error) {
        // A conflict is another candidate who was faster.
        if (!isConflict(error)) log.warn({ error: String(error) }, 'the lease could not be read or written');
      }
      this.#announce();
      // The end of what we hold has to be noticed even where the next try hangs.
      const cancel = this.leads
        ? clock.after(this.#heldUntilMs - clock.monotonicMs() + 1, () => this.#announce())
        : undefined;
      await pause(clock, jittered(retryMs, 0.2, chance), this.#stop.signal);
      cancel?.();
    }
  }

  async #try(): Promise<void> {
    const { api, lease, identity, clock, renewWithinMs } = this.#options;
    // Time counts from before the request: the answer may have been on its way for long.
    const askedMs = clock.monotonicMs();
    let held: KubeObject;
    try {
      held = await api.get(kinds.lease, lease);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await api.create(kinds.lease, this.#object({ leaseTransitions: 0 }, undefined));
      this.#hold(askedMs + renewWithinMs, 0);
      return;
    }
    const spec = specOf(held);
    const version = held.metadata.resourceVersion ?? '';
    if (spec.holderIdentity === identity) {
      await this.#write(held, {});
      this.#hold(askedMs + renewWithinMs, spec.leaseTransitions ?? 0);
      return;
    }
    this.#heldUntilMs = Number.NEGATIVE_INFINITY;
    if (this.#seen?.version !== version) this.#seen = { version, atMs: clock.monotonicMs() };
    if (spec.holderIdentity) {
      const leftMs = this.#leftMs(spec.holderIdentity, spec, this.#seen.atMs);
      if (leftMs > 0) {
        this.#announceWait(spec.holderIdentity, leftMs);
        return;
      }
    }
    const transitions = (spec.leaseTransitions ?? 0) + 1;
    await this.#write(held, { leaseTransitions: transitions, acquireTime: microTime(clock.wallMs()) });
    this.#hold(askedMs + renewWithinMs, transitions);
  }

  /** How long its holder has the lease from now on, if it does not renew it. */
  #leftMs(holder: string, { leaseDurationSeconds = 15, renewTime = '' }: LeaseSpec, seenMs: number): number {
    const { clock, durationMs, outlives } = this.#options;
    const heldMs = leaseDurationSeconds * 1000;
    const silentMs = clock.monotonicMs() - seenMs;
    const writtenMs = Date.parse(renewTime);
    if (!outlives(holder) || Number.isNaN(writtenMs)) return heldMs - silentMs;
    const endsMs = writtenMs + heldMs + skewMs - clock.wallMs();
    return Math.min(heldMs - silentMs, Math.max(durationMs - silentMs, endsMs));
  }

  #hold(untilMs: number, transitions: number): void {
    this.#heldUntilMs = untilMs;
    this.#transitions = transitions;
    this.#awaited = undefined;
  }

  async #write(held: KubeObject, change: LeaseSpec): Promise<void> {
    await this.#options.api.replace(
      kinds.lease,
      this.#object({ ...specOf(held), ...this.#renewal(), ...change }, held),
    );
  }

  #renewal(): LeaseSpec {
    const { identity, durationMs, clock } = this.#options;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(durationMs / 1000),
      renewTime: microTime(clock.wallMs()),
    };
  }

  #object(spec: LeaseSpec, held: KubeObject | undefined): KubeObject {
    const { lease, clock } = this.#options;
    const metadata = held?.metadata ?? { name: lease.name, ...(lease.namespace ? { namespace: lease.namespace } : {}) };
    const full = held ? spec : { ...this.#renewal(), acquireTime: microTime(clock.wallMs()), ...spec };
    return { metadata, spec: full };
  }

  /** Once for each holder: one that renews is waited for as long as it lives. */
  #announceWait(holder: string, leftMs: number): void {
    if (this.#awaited === holder) return;
    this.#awaited = holder;
    const { clock, log } = this.#options;
    const until = new Date(clock.wallMs() + leftMs).toISOString();
    log.info({ holder, until }, 'somebody else holds the lease, until then at the latest if they do not renew it');
  }

  #announce(): void {
    if (this.leads === this.#announced) return;
    this.#announced = this.leads;
    const { log, identity, onChange } = this.#options;
    log.info({ identity, transitions: this.#transitions }, this.#announced ? 'leads now' : 'leads no more');
    onChange?.(this.#announced);
  }
}

function specOf(lease: KubeObject): LeaseSpec {
  return (lease.spec ?? {}) as LeaseSpec;
}

/** The API's MicroTime. */
function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z');
}
