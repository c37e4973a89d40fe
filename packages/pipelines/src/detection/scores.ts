/**
 * The scan over a detector's scores: what does not reach the threshold is passed over with one comparison,
 * and only for the rest is anything computed.
 */
import type { ScoreActivation } from '@inferry/contracts';
import type { Candidates } from './candidates.ts';

/** Which of the scores count. */
export interface ScoreRule {
  readonly threshold: number;
  /** Every class above the threshold, or the best one only. */
  readonly isMultiLabel: boolean;
}

/** The class scores of one image: of box b and class c at `first + b * boxStride + c * classStride`. */
export interface ClassGrid {
  readonly values: Float32Array;
  readonly first: number;
  readonly boxes: number;
  readonly boxStride: number;
  readonly classStride: number;
  /** With the background. */
  readonly classes: number;
  readonly activation: ScoreActivation;
  readonly background: number | null;
}

export function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}

/** The raw value at which an activated score reaches the threshold, a little lower for rounding's sake. */
function rawThreshold(threshold: number, isLogit: boolean): number {
  return isLogit ? Math.log(threshold / (1 - threshold)) - 1e-6 : threshold;
}

/** Adds what counts: boxes in order, of each box the classes in order; equally good classes, the first. */
export function scanClasses(grid: ClassGrid, rule: ScoreRule, into: Candidates): void {
  const { values, boxes, boxStride, background } = grid;
  const isLogit = grid.activation !== 'none';
  const lowest = rawThreshold(rule.threshold, isLogit);
  const bests = bestValues(grid);
  for (let box = 0; box < boxes; box += 1) {
    // A probability of softmax is at most what it would be if the background were the only other class.
    const against =
      grid.activation === 'softmax' && background !== null
        ? (values[grid.first + box * boxStride + background * grid.classStride] ?? 0)
        : 0;
    const isBounded = grid.activation !== 'softmax' || background !== null;
    if (isBounded && (bests[box] ?? 0) - against < lowest) continue;
    addClasses(grid, box, rule, into);
  }
}

/** The largest raw score of each box without the background, along the memory whichever way it lies. */
function bestValues(grid: ClassGrid): Float32Array {
  const { values, boxes, boxStride, classStride, classes, background } = grid;
  const bests = new Float32Array(boxes).fill(-Infinity);
  if (boxStride > classStride) {
    for (let box = 0; box < boxes; box += 1) {
      let best = -Infinity;
      const first = grid.first + box * boxStride;
      for (let name = 0; name < classes; name += 1) {
        const value = values[first + name * classStride] ?? 0;
        if (value > best && name !== background) best = value;
      }
      bests[box] = best;
    }
    return bests;
  }
  for (let name = 0; name < classes; name += 1) {
    if (name === background) continue;
    const first = grid.first + name * classStride;
    for (let box = 0; box < boxes; box += 1) {
      const value = values[first + box * boxStride] ?? 0;
      if (value > (bests[box] ?? 0)) bests[box] = value;
    }
  }
  return bests;
}

function addClasses(grid: ClassGrid, box: number, rule: ScoreRule, into: Candidates): void {
  const { values, classStride, classes, activation, background } = grid;
  const first = grid.first + box * grid.boxStride;
  const scoreOf =
    activation === 'softmax'
      ? softmaxAt(values, first, classStride, classes)
      : activation === 'sigmoid'
        ? sigmoid
        : (value: number) => value;
  let bestLabel = -1;
  let best = -Infinity;
  for (let name = 0; name < classes; name += 1) {
    if (name === background) continue;
    const value = values[first + name * classStride] ?? 0;
    const label = background !== null && name > background ? name - 1 : name;
    if (rule.isMultiLabel) {
      const score = scoreOf(value);
      if (score >= rule.threshold) into.add(box, label, score);
    } else if (value > best) {
      best = value;
      bestLabel = label;
    }
  }
  if (rule.isMultiLabel || bestLabel === -1) return;
  const score = scoreOf(best);
  if (score >= rule.threshold) into.add(box, bestLabel, score);
}

/** Shifted by the largest logit, so that no exponential overflows. */
function softmaxAt(
  values: Float32Array,
  first: number,
  stride: number,
  classes: number,
): (logit: number) => number {
  let largest = -Infinity;
  for (let name = 0; name < classes; name += 1) {
    largest = Math.max(largest, values[first + name * stride] ?? 0);
  }
  let sum = 0;
  for (let name = 0; name < classes; name += 1) {
    sum += Math.exp((values[first + name * stride] ?? 0) - largest);
  }
  return (logit) => Math.exp(logit - largest) / sum;
}

/**
 * Boxes with objectness: channels x, y, w, h, objectness, then the classes; `boxes` of them, channel k of
 * box b at `offsetOf(b) + k * channelStride`.
 */
export interface ObjectnessGrid {
  readonly values: Float32Array;
  readonly boxes: number;
  readonly channelStride: number;
  readonly classes: number;
  /** Objectness and classes are logits. */
  readonly isLogit: boolean;
  /** Number of the first box in the family's order. */
  readonly firstBox: number;
  readonly offsetOf: (box: number) => number;
}

const objectnessChannel = 4;
export const channelsBeforeClasses = 5;

/** Adds what counts, in the order of {@link scanClasses}. A score is objectness times class probability. */
export function scanObjectness(grid: ObjectnessGrid, rule: ScoreRule, into: Candidates): void {
  const { values, channelStride, classes, isLogit, offsetOf } = grid;
  const lowest = rawThreshold(rule.threshold, isLogit);
  const activated = isLogit ? sigmoid : (value: number) => value;
  for (let box = 0; box < grid.boxes; box += 1) {
    const first = offsetOf(box);
    const raw = values[first + objectnessChannel * channelStride] ?? 0;
    if (raw < lowest) continue;
    const objectness = activated(raw);
    let bestLabel = -1;
    let best = -Infinity;
    for (let label = 0; label < classes; label += 1) {
      const value = values[first + (channelsBeforeClasses + label) * channelStride] ?? 0;
      if (rule.isMultiLabel) {
        const score = objectness * activated(value);
        if (score >= rule.threshold) into.add(grid.firstBox + box, label, score);
      } else if (value > best) {
        best = value;
        bestLabel = label;
      }
    }
    if (rule.isMultiLabel || bestLabel === -1) continue;
    const score = objectness * activated(best);
    if (score >= rule.threshold) into.add(grid.firstBox + box, bestLabel, score);
  }
}
