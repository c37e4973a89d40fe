/**
 * Puts a body together as it arrives: in one buffer of the size the request says, so that nothing is copied
 * again when all of it is there. A body of one chunk is that chunk.
 */
import type { LentMemory } from './body-memory.ts';

/** Room for a body that does not say how large it is, and at most this for what has been said but not sent. */
const unsentBytesMax = 512 * 1024;

export class BodyBuffer {
  readonly #memory: LentMemory;
  readonly #bytesMax: number;
  readonly #wantedBytes: number;
  #buffer: Uint8Array = new Uint8Array();
  #size = 0;

  /** `declaredBytes` is what the request says, NaN where it does not; never more than `bytesMax` is kept. */
  constructor(bytesMax: number, declaredBytes: number, memory: LentMemory) {
    this.#memory = memory;
    this.#bytesMax = bytesMax;
    this.#wantedBytes = Math.min(
      Number.isFinite(declaredBytes) ? declaredBytes : bytesMax,
      bytesMax,
    );
  }

  /** The chunk must not change later. False, and the chunk is not taken, where the body would be too large. */
  add(chunk: Uint8Array): boolean {
    const size = this.#size + chunk.length;
    if (size > this.#bytesMax) return false;
    if (this.#size === 0) {
      this.#buffer = chunk;
    } else {
      if (size > this.#buffer.length) this.#grow(size);
      this.#buffer.set(chunk, this.#size);
    }
    this.#size = size;
    return true;
  }

  /** All that was added, as it lies in memory. */
  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }

  /** To what the request says, in steps that keep a request from taking memory by words alone; or twofold. */
  #grow(bytesMin: number): void {
    const room = Math.max(unsentBytesMax, 2 * this.#size);
    const bytes = Math.max(bytesMin, Math.min(this.#wantedBytes, room));
    const smaller = this.#buffer;
    this.#buffer = this.#memory.allocate(bytes);
    this.#buffer.set(smaller.subarray(0, this.#size));
    // Else a large body would hold all the sizes it had, together as much as itself.
    this.#memory.release(smaller);
  }
}
