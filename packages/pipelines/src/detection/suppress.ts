/** Non-maximum suppression over corners in one typed array. */

/** A box is left, top, right, bottom. */
export const cornersEach = 4;

/** Boxes best first, with their corners and the label of each. */
export interface RankedBoxes {
  readonly count: number;
  /** `count * 4` */
  readonly corners: Float64Array;
  /** Boxes of different groups do not suppress each other. */
  readonly groups: Int32Array;
}

/**
 * Greedy non-maximum suppression: each box in turn is kept unless a kept one of its group covers it with
 * an intersection over union above `iouThreshold`. Answers at most `max` places, in order. A box without
 * area (also one whose corners are swapped) covers nothing and is covered by nothing.
 */
export function suppress(boxes: RankedBoxes, iouThreshold: number, max: number): number[] {
  const { count, groups } = boxes;
  const areas = Float64Array.from({ length: count }, (_, box) => area(boxes, box));
  const kept: number[] = [];
  for (let box = 0; box < count && kept.length < max; box += 1) {
    const own = areas[box] ?? 0;
    const isCovered = kept.some((better) => {
      if (groups[better] !== groups[box]) return false;
      const shared = intersection(boxes, better, box);
      return shared > iouThreshold * ((areas[better] ?? 0) + own - shared);
    });
    if (!isCovered) kept.push(box);
  }
  return kept;
}

function area({ corners }: RankedBoxes, box: number): number {
  const at = box * cornersEach;
  const width = (corners[at + 2] ?? 0) - (corners[at] ?? 0);
  const height = (corners[at + 3] ?? 0) - (corners[at + 1] ?? 0);
  return width > 0 && height > 0 ? width * height : 0;
}

function intersection({ corners }: RankedBoxes, one: number, other: number): number {
  const a = one * cornersEach;
  const b = other * cornersEach;
  const left = Math.max(corners[a] ?? 0, corners[b] ?? 0);
  const top = Math.max(corners[a + 1] ?? 0, corners[b + 1] ?? 0);
  const right = Math.min(corners[a + 2] ?? 0, corners[b + 2] ?? 0);
  const bottom = Math.min(corners[a + 3] ?? 0, corners[b + 3] ?? 0);
  return right > left && bottom > top ? (right - left) * (bottom - top) : 0;
}
