/** The scored boxes of one image, column by column: most boxes of a detector never become an object. */

const capacityMin = 256;

/** Pairs of a box and a class whose score reached the threshold, in the order in which they were added. */
export class Candidates {
  #count = 0;
  #scores = new Float64Array(capacityMin);
  #boxes = new Int32Array(capacityMin);
  #labels = new Int32Array(capacityMin);

  get count(): number {
    return this.#count;
  }

  add(box: number, label: number, score: number): void {
    const at = this.#count;
    if (at === this.#scores.length) this.#grow();
    this.#scores[at] = score;
    this.#boxes[at] = box;
    this.#labels[at] = label;
    this.#count = at + 1;
  }

  score(at: number): number {
    return this.#scores[at] ?? 0;
  }

  /** The number of the box in its family's order. */
  box(at: number): number {
    return this.#boxes[at] ?? 0;
  }

  label(at: number): number {
    return this.#labels[at] ?? 0;
  }

  /** Where the best are, at most `max` of them: best first, equal scores in the order of adding. */
  best(max: number): Uint32Array {
    const chosen =
      this.#count <= max ? Uint32Array.from({ length: this.#count }, (_, i) => i) : this.#top(max);
    // The sort is stable, which keeps equal scores in order.
    return chosen.toSorted((a, b) => this.score(b) - this.score(a));
  }

  /** In the order of adding. Numbers are sorted without a comparison function, so many are no matter. */
  #top(max: number): Uint32Array {
    const scores = this.#scores.subarray(0, this.#count);
    const ascending = scores.toSorted();
    const cut = ascending[this.#count - max] ?? 0;
    let atCut = 0;
    while (atCut < max && ascending[this.#count - max + atCut] === cut) atCut += 1;
    const chosen = new Uint32Array(max);
    let taken = 0;
    for (const [at, score] of scores.entries()) {
      if (score < cut || (score === cut && atCut === 0)) continue;
      if (score === cut) atCut -= 1;
      chosen[taken] = at;
      taken += 1;
    }
    return chosen;
  }

  #grow(): void {
    const capacity = this.#scores.length * 2;
    const scores = new Float64Array(capacity);
    const boxes = new Int32Array(capacity);
    const labels = new Int32Array(capacity);
    scores.set(this.#scores);
    boxes.set(this.#boxes);
    labels.set(this.#labels);
    this.#scores = scores;
    this.#boxes = boxes;
    this.#labels = labels;
  }
}
