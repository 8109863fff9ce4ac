/** What parameters begin with that name a region of memory which client and model share. */
// @ts-ignore: decorator
@inline const PREFIX: string = 'shared_memory_';

/**
 * Whether requested outputs go to shared memory. The region has room for the rows of one caller, and the model writes to
 * it without saying so to anybody else: such a request is never batched. A name that only contains the words costs a batch.
 */
export function namesSharedMemory(p: usize, end: usize): bool {
  const length = <usize>PREFIX.length;
  for (; p + length <= end; p++) {
    let i: usize = 0;
    while (i < length && <i32>load<u8>(p + i) == PREFIX.charCodeAt(<i32>i)) i++;
    if (i == length) return true;
  }
  return false;
}
