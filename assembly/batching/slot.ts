import { NONE } from './memory';

/** Where a slot is in its life. */
export enum SlotState {
  Free = 0,
  OnTime = 1,
  Late = 2,
  InFlight = 3,
}

/**
 * One accepted request. 96 bytes in the domain's slot array; the first 32 are what a search touches.
 *
 * ```
 *  0 key      f64   order key: soft deadline while on time, hard deadline once late
 *  8 left     u32 | 12 right  u32   children in the order's treap
 * 16 parent   u32 | 20 items  u32
 * 24 prev     u32 | 28 next   u32   neighbours in key order (or the next free slot, or the next of a batch)
 * 32 soft     f64   40 hard   f64   48 arrived f64
 * 56 lane     u32 | 60 band   u32
 * 64 tenant   u32 | 68 flow   u32
 * 72 state    u32 | 76 bucket u32   bucket of the demand calendar that counts it
 * 80 promised u32                   1 once the kernel chose to let it wait until its own wake
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
  arrived: f64;
  lane: u32;
  band: u32;
  tenant: u32;
  flow: u32;
  state: u32;
  bucket: u32;
  promised: u32;
  unused_0: u32;
  unused_1: u32;
  unused_2: u32;
}

// @ts-ignore: decorator
@inline
export function slotAt(slots: usize, index: u32): Slot {
  return changetype<Slot>(slots + <usize>index * offsetof<Slot>());
}

/** Chains all slots into the free list and returns its head. */
export function freeAllSlots(slots: usize, count: u32): u32 {
  for (let i: u32 = 0; i < count; i++) {
    const slot = slotAt(slots, i);
    slot.state = SlotState.Free;
    slot.next = i + 1 < count ? i + 1 : NONE;
  }
  return count > 0 ? 0 : NONE;
}
