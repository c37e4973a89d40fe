/** Random draws from one seed. */
import { type Random, seededRandom } from '@inferry/runtime';

export class Draws {
  /** The source itself, for parts that take one. */
  readonly random: Random;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  uniform(least: number, most: number): number {
    return least + (most - least) * this.random.unit();
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.random.unit());
  }

  /** A factor around 1 with a log-normal distribution; `deviation` is that of its logarithm. */
  noise(deviation: number): number {
    if (deviation === 0) return 1;
    const radius = Math.sqrt(-2 * Math.log(1 - this.random.unit()));
    return Math.exp(deviation * radius * Math.cos(2 * Math.PI * this.random.unit()));
  }
}
