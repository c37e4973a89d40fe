/** The best few of many scores, without sorting the rest. */

/**
 * The places of the `k` largest scores, best first; of equal ones the earlier comes first. At most
 * `scores.length` of them. No score may be NaN. O(n log k): a heap of the best so far has the worst of them
 * at its root, and almost every score is passed over with one comparison.
 */
export function topPlaces(scores: Float64Array, k: number): Uint32Array {
  const size = Math.min(k, scores.length);
  if (size === 0) return new Uint32Array();
  const heap = Uint32Array.from({ length: size }, (_, place) => place);
  for (let root = (size >> 1) - 1; root >= 0; root -= 1) sift(heap, root, size, scores);
  for (let place = size; place < scores.length; place += 1) {
    // An equal score stays behind those in the heap, which are all earlier.
    if (at(scores, place) <= at(scores, heap[0] ?? 0)) continue;
    heap[0] = place;
    sift(heap, 0, size, scores);
  }
  // The worst goes to the end, then the worst of the rest: what remains is in order, best first.
  for (let end = size - 1; end > 0; end -= 1) {
    const worst = heap[0] ?? 0;
    heap[0] = heap[end] ?? 0;
    heap[end] = worst;
    sift(heap, 0, end, scores);
  }
  return heap;
}

/** Moves the root of a heap of `size` down, until no child is worse than it. */
function sift(heap: Uint32Array, root: number, size: number, scores: Float64Array): void {
  const place = heap[root] ?? 0;
  let hole = root;
  for (let child = 2 * hole + 1; child < size; child = 2 * hole + 1) {
    const right = child + 1;
    const worse =
      right < size && isWorse(heap[right] ?? 0, heap[child] ?? 0, scores) ? right : child;
    const candidate = heap[worse] ?? 0;
    if (!isWorse(candidate, place, scores)) break;
    heap[hole] = candidate;
    hole = worse;
  }
  heap[hole] = place;
}

function isWorse(a: number, b: number, scores: Float64Array): boolean {
  const difference = at(scores, a) - at(scores, b);
  return difference < 0 || (difference === 0 && a > b);
}

function at(scores: Float64Array, place: number): number {
  return scores[place] ?? 0;
}
