import { Variant } from './codes';

export const PIXELS: i32 = 784;
export const SIDE: i32 = 28;
export const CLASSES: i32 = 10;
export const BATCH_MAX: i32 = 64;
/** Features of this many images at most are written out, for training. */
export const FEATURES_BATCH_MAX: i32 = 64;
export const MEDIUM_UNITS: i32 = 1024;
export const LARGE_UNITS: i32 = 12288;
export const FILTERS: i32 = 64;
export const TAPS: i32 = 25;
/** 24 x 24 positions in cells of 4 x 4. */
export const CELLS: i32 = 36;

/** Features that the readout of a variant sees. */
export function featureCount(variant: i32): i32 {
  if (variant == Variant.Linear) return PIXELS;
  if (variant == Variant.Medium) return MEDIUM_UNITS;
  if (variant == Variant.Conv) return CELLS * FILTERS;
  if (variant == Variant.Large) return LARGE_UNITS;
  return unreachable();
}

/*
 *   input     [BATCH_MAX][784] f32, 0..1     written by the host
 *   logits    [BATCH_MAX][10] f32            read by the host
 *   readout   per variant: bias [10] f32, then weights [features][10] f32
 *   medium    [1024][784] f32                weights that stay
 *   row       [784] f32                      weights of the unit at hand
 *   filters   [25][64] f32
 *   cells     [36][64] f32                   pooled responses of one image
 *   features  [64][features of the largest variant] f32
 *
 * All of it is allocated once, by `reserve`: a variant that is never asked for costs address space only.
 */
export let input: usize = 0;
export let logits: usize = 0;
export let medium: usize = 0;
export let row: usize = 0;
export let filters: usize = 0;
export let cells: usize = 0;
export let features: usize = 0;
let readouts: usize = 0;

export function reserve(): void {
  input = heap.alloc(BATCH_MAX * PIXELS * 4);
  logits = heap.alloc(BATCH_MAX * CLASSES * 4);
  readouts = heap.alloc(5 * readoutBytes(Variant.Large));
  medium = heap.alloc(MEDIUM_UNITS * PIXELS * 4);
  row = heap.alloc(PIXELS * 4);
  filters = heap.alloc(TAPS * FILTERS * 4);
  cells = heap.alloc(CELLS * FILTERS * 4);
  features = heap.alloc(FEATURES_BATCH_MAX * LARGE_UNITS * 4);
}

function readoutBytes(variant: i32): i32 {
  return (CLASSES + featureCount(variant) * CLASSES) * 4;
}

/** The bias of a variant's readout; its weights follow. */
export function readoutAt(variant: i32): usize {
  return readouts + <usize>variant * readoutBytes(Variant.Large);
}
