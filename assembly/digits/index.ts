// A model that reads handwritten digits: fixed random features from a seed, and a linear readout that was trained.
//
//   pixels ──► features (Variant) ──► readout [features][10] + bias ──► logits
import { Abi, Variant } from './codes';
import { convolve } from './conv';
import { respondToFour, respondToOne } from './dense';
import {
  BATCH_MAX,
  CELLS,
  CLASSES,
  FEATURES_BATCH_MAX,
  FILTERS,
  LARGE_UNITS,
  MEDIUM_UNITS,
  PIXELS,
  TAPS,
  cells,
  featureCount,
  features,
  filters,
  input,
  logits,
  medium,
  readoutAt,
  reserve,
  row,
} from './layout';
import { fillNormals } from './normals';
import { fillUnit } from './unit';

/** Streams of random numbers: units of Large count from 0, the others lie far behind. */
const MEDIUM_STREAM: u32 = 100000;
const FILTER_STREAM: u32 = 200000;
/** Scale of a dense response: a window with about 40 lit pixels gives responses of about 1. */
const SCALE: f32 = 0.12;

const four = memory.data(16, 16);
/** Whether responses are written out as features (training) or read by the readout (serving). */
let collecting: bool = false;

reserve();
for (let unit = 0; unit < MEDIUM_UNITS; unit++) {
  fillUnit(medium + <usize>unit * PIXELS * 4, MEDIUM_STREAM + unit);
}
for (let tap = 0; tap < TAPS; tap++) fillNormals(filters + <usize>tap * FILTERS * 4, FILTERS, FILTER_STREAM + tap);

export function abi_version(): u32 {
  return Abi.Version;
}

export function batch_max(): i32 {
  return BATCH_MAX;
}

export function features_batch_max(): i32 {
  return FEATURES_BATCH_MAX;
}

export function input_at(): usize {
  return input;
}

export function logits_at(): usize {
  return logits;
}

export function features_at(): usize {
  return features;
}

export function feature_count(variant: i32): i32 {
  return featureCount(variant);
}

export function readout_at(variant: i32): usize {
  return readoutAt(variant);
}

/** Classifies the first `count` images of the input. */
export function classify(variant: i32, count: i32): void {
  assert(count > 0 && count <= BATCH_MAX);
  collecting = false;
  const bias = readoutAt(variant);
  for (let i = 0; i < count; i++) memory.copy(logits + <usize>i * CLASSES * 4, bias, CLASSES * 4);
  respond(variant, count);
}

/** Writes the features of the first `count` images, one image after the other. */
export function extract(variant: i32, count: i32): void {
  assert(count > 0 && count <= FEATURES_BATCH_MAX);
  collecting = true;
  respond(variant, count);
}

function respond(variant: i32, count: i32): void {
  if (variant == Variant.Linear) linear(count);
  else if (variant == Variant.Conv) conv(count);
  else dense(variant, count);
}

function linear(count: i32): void {
  for (let i = 0; i < count; i++) {
    for (let p = 0; p < PIXELS; p++) emit(Variant.Linear, p, i, load<f32>(input + <usize>(i * PIXELS + p) * 4));
  }
}

function conv(count: i32): void {
  for (let i = 0; i < count; i++) {
    convolve(input + <usize>i * PIXELS * 4);
    for (let f = 0; f < CELLS * FILTERS; f++) emit(Variant.Conv, f, i, load<f32>(cells + <usize>f * 4));
  }
}

function dense(variant: i32, count: i32): void {
  const units = featureCount(variant);
  for (let unit = 0; unit < units; unit++) {
    let weights = row;
    if (variant == Variant.Large) fillUnit(row, unit);
    else weights = medium + <usize>unit * PIXELS * 4;
    const bias = load<f32>(weights) * 0.3;
    let i = 0;
    for (; i + 4 <= count; i += 4) {
      respondToFour(weights, input + <usize>i * PIXELS * 4, bias, SCALE, four);
      for (let k = 0; k < 4; k++) emit(variant, unit, i + k, load<f32>(four + (<usize>k << 2)));
    }
    for (; i < count; i++) {
      emit(variant, unit, i, respondToOne(weights, input + <usize>i * PIXELS * 4, bias, SCALE));
    }
  }
}

// @ts-ignore: decorator
@inline
function emit(variant: i32, feature: i32, image: i32, value: f32): void {
  if (collecting) {
    store<f32>(features + <usize>(image * featureCount(variant) + feature) * 4, value);
  } else if (value != 0) {
    const weights = readoutAt(variant) + <usize>(CLASSES + feature * CLASSES) * 4;
    const sums = logits + <usize>image * CLASSES * 4;
    for (let c: usize = 0; c < <usize>CLASSES * 4; c += 4) {
      store<f32>(sums + c, load<f32>(sums + c) + value * load<f32>(weights + c));
    }
  }
}
