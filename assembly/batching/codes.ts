// The words that the batching kernel and its hosts share. This file is compiled twice: by AssemblyScript into the
// kernel and by TypeScript into the hosts, so that a code cannot mean two things. Plain enums only.

/** Version of the boundary below. A host refuses a kernel whose `abi_version()` differs. */
export enum Abi {
  Version = 3,
}

/** What a host tells the kernel. Each is one event record in the ring. */
export enum EventKind {
  /** A request was accepted. `id` is the host's ticket. */
  Arrival = 1,
  /** A dispatched batch ended. `id` is the batch, `code` an Outcome. */
  Completion = 2,
  /** A caller went away. `id` is the slot. */
  Cancel = 3,
  /** A live setting changed. `code` is a Setting, `value` its new value. */
  Setting = 4,
  /** How late a timer fired or the event loop was, in ms, is `value`. */
  Lateness = 5,
  /** How long a finished batch took to reach its callers' sockets, in ms, is `value`. */
  ReplyPath = 6,
  /** A lane never holds more than `value` requests a batch from now on (its replies cannot be split). */
  LaneLimit = 7,
  /** The pod behind the upstream changed: the next batch is a cold one. */
  UpstreamChanged = 8,
  /** The companion drains: waiting for company ends, partial batches go at once. */
  Drain = 9,
}

/** How a dispatched batch ended, as far as the latency model cares. */
export enum Outcome {
  /** The model answered; its time is a sample. */
  Answered = 0,
  /** The host gave up waiting: its time is a lower bound. */
  TimedOut = 1,
  /** Every caller left and the call was cancelled: its time is a lower bound. */
  Cancelled = 2,
  /** Error, reset or refusal for the content: teaches nothing. */
  Failed = 3,
  /** 413: teaches the largest batch that the model accepts. */
  TooLarge = 4,
}

/** Settings that a host may change while the domain lives. */
export enum Setting {
  /** Latency objective in ms. */
  SloMs = 1,
  /** Share of requests that must meet it, 0.5 to 0.9999. */
  SloQuantile = 2,
  /** 0 to 1; below 0 means `auto`. */
  Patience = 3,
  /** Upper bound of a batch, in items. */
  MaxBatchItems = 4,
  /** 1 to defer late work, 0 to shed it. */
  DeferLate = 5,
  /** Hard timeout in ms. */
  LateTimeoutMs = 6,
}

/** What the kernel tells its host. Each is one verdict record. */
export enum VerdictKind {
  /** The request with ticket `id` waits in `slot`. */
  Admitted = 1,
  /** The request with ticket `id` is not taken: `reason`. It never had a slot. */
  Rejected = 2,
  /** Send the `count` slots listed from `first` as batch `id` of `lane`: `reason`. */
  Dispatch = 3,
  /** The request in `slot` ends unserved: `reason`. The slot is free again. */
  Refused = 4,
  /** The request in `slot` will miss its objective and waits for spare room until its hard deadline. */
  Deferred = 5,
}

/**
 * Why. One list for verdicts, metrics, logs, headers and documents. The number is the wire value and never changes
 * its meaning; the name in kebab case is the label.
 */
export enum Reason {
  None = 0,

  // Dispatched because:
  /** A slot was free and waiting longer would not pay. */
  SlotFree = 1,
  /** The batch reached the largest useful size. */
  Full = 2,
  /** The tightest deadline in it left no more time. */
  Deadline = 3,
  /** It waited for company until the expected saving was no longer worth the delay. */
  Patience = 4,
  /** The companion drains. */
  Drain = 5,
  /** All looked hopeless, and one batch a second finds out whether that is still true. */
  Probe = 6,
  /** Late work, because nothing on time waits. */
  SpareRoom = 7,

  // Waits because:
  /** Every upstream slot is taken. */
  Busy = 16,
  /** Company is expected soon enough to save model time. */
  Saving = 17,
  /** Late work, and no room is left beside the work that is on time. */
  NoSpareRoom = 18,

  // Refused because:
  /** As many requests wait as may wait. */
  QueueFull = 32,
  /** The hard deadline cannot be met even alone on an idle upstream. */
  Unmeetable = 33,
  /** Late, and the setting says to shed late work. */
  LateShed = 34,
  /** Late, and more late work waits than may wait: the oldest goes. */
  LateOverflow = 35,
  /** The hard deadline passed before the model had room. */
  Expired = 36,
}
