/**
 * What an answer takes between the end of its job and its way to the caller: the message of the queue, this
 * gateway's own queue of work, writing the answer. A budget has to hold it too. Mean and deviation as for
 * round trips in RFC 6298.
 */

const meanGain = 1 / 8;
const deviationGain = 1 / 4;
const deviations = 2;
/** Longer than this was an outage, and is no guide. */
const sampleMsMax = 1_000;

export class AnswerTime {
  #meanMs = 2;
  #deviationMs = 1;

  /** An answer left so long after its job had ended, ms. */
  observe(ms: number): void {
    if (!(ms >= 0 && ms <= sampleMsMax)) return;
    this.#deviationMs += deviationGain * (Math.abs(ms - this.#meanMs) - this.#deviationMs);
    this.#meanMs += meanGain * (ms - this.#meanMs);
  }

  /** What to expect of the next one, with a margin, ms. */
  get expectedMs(): number {
    return this.#meanMs + deviations * this.#deviationMs;
  }
}
