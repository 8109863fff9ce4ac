import { allocate, NONE } from './memory';

/** Where a slot is in its life. */
export enum SlotState {
  Free = 0,
  OnTime = 1,
  Late = 2,
  InFlight = 3,
}

/**
 * One accepted request: 64 bytes on a boundary of 64, one line of the processor's cache. Among 10^5 requests each line
 * that is touched is waited for.
 *
 * ```
 *  0 key      f64   order key: soft deadline while on time, hard deadline once late
 *  8 left     u32 | 12 right  u32   children in the order's treap
 * 16 parent   u32 | 20 items  u32
 * 24 prev     u32 | 28 next   u32   neighbours in key order (or the next free slot, or the next of a batch)
 * 32 soft     f64   40 hard   f64
 * 48 lane     u32 | 52 flow   u32
 * 56 tenant   u16 | 58 band   u8 | 59 state u8
 * 60 bucket   u8                    bucket of the demand calendar that counts it
 * 61 promised u8                    1 once the kernel chose to let it wait until its own wake
 * ```
 *
 * Invariant: a slot is in exactly one place, the free list, one order (its flow's or its lane's late one) or one batch.
 */
@unmanaged
export class Slot {
  key: f64;
  left: u32;
  right: u32;
  parent: u32;
  items: u32;
  prev: u32;
  next: u32;
  soft: f64;
  hard: f64;
  lane: u32;
  flow: u32;
  tenant: u16;
  band: u8;
  state: u8;
  bucket: u8;
  promised: u8;
  unused: u16;
}

// @ts-ignore: decorator
@inline
export function slotAt(slots: usize, index: u32): Slot {
  return changetype<Slot>(slots + <usize>index * offsetof<Slot>());
}

/** Makes the slots and chains all of them into the free list, from slot 0 on. */
export function makeSlots(count: u32): usize {
  const slots = (allocate(<usize>count * offsetof<Slot>() + 64) + 63) & ~63;
  for (let i: u32 = 0; i < count; i++) slotAt(slots, i).next = i + 1 < count ? i + 1 : NONE;
  return slots;
}
