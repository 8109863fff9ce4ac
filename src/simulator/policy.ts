/** A dispatch policy in virtual time: Paceline's kernel and its rivals stand behind the same interface. */
export interface DispatchPolicy {
  /** Request `id` arrived in `lane`; absolute soft deadline in ms. */
  arrive(now: number, id: number, lane: number, softDeadline: number): void;
  /** Batch `batch` was answered, or refused as too large. */
  complete(now: number, batch: number, tooLarge: boolean): void;
  /** The caller of `id` left. */
  cancel(now: number, id: number): void;
  /** Called after the events of one instant, and at the wake time that it returned. Returns the next wake time. */
  step(now: number, act: PolicyActions): number;
}

/** What a policy may do. */
export interface PolicyActions {
  /** Sends requests as one batch; `batch` is the policy's own number for it. */
  dispatch(batch: number, lane: number, ids: readonly number[]): void;
  /** Ends a request unserved. */
  refuse(id: number): void;
}
