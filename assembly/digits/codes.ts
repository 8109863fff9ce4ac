// The words that the digit model and its host share.

export enum Abi {
  Version = 1,
}

/** The same question answered at different cost and accuracy. */
export enum Variant {
  /** A linear readout of the pixels. */
  Linear = 1,
  /** 1,024 random features whose weights stay in memory. */
  Medium = 2,
  /** 64 random 5 x 5 filters, pooled. A batch costs as much as its single calls. */
  Conv = 3,
  /** 12,288 random features whose weights are generated anew for each call, once for the whole batch. */
  Large = 4,
}
