/** What the scheduler has to know of a request that waits, and what it notes down about it. Times in ms. */
export interface Queued {
  readonly arrivedAt: number;
  readonly laneKey: string;
  readonly measured: { readonly items: number };
  readonly softDeadline: number;
  readonly hardDeadline: number;
  readonly band: number;
  readonly tenant: number;
  /** It has its answer, or nobody waits for one any more. */
  readonly ended: boolean;
  /** Where it waits in the kernel; -1 when it does not. */
  slot: number;
  sentAt: number;
  /** Of the time between arrival and sending, the part in which a slot was free. */
  waitMs: number;
}
