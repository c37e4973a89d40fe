/**
 * Room for the image tensors of one batch: regions of the kernel's memory that are filled from the front, so
 * that tensors of one batch lie back to back.
 */
import { invariant } from '@inferry/runtime';
import type { LinearMemory } from './linear-memory.ts';

/** A batch with more gets a further region: images lie back to back up to here. */
const regionBytesMax = 256 * 1024 * 1024;

interface Region {
  readonly address: number;
  readonly bytes: number;
  used: number;
}

export class TensorRoom {
  readonly #memory: LinearMemory;
  readonly #regions: Region[] = [];
  #isClosed = false;

  constructor(memory: LinearMemory) {
    this.#memory = memory;
  }

  /**
   * The address of the next `bytes` bytes. `batchBytes` is what the batch may need in all, so that one
   * region can hold it. Undefined where the memory's bound leaves no room.
   */
  reserve(bytes: number, batchBytes: number): number | undefined {
    invariant(!this.#isClosed, 'a batch that is closed prepares nothing');
    const last = this.#regions.at(-1);
    if (last !== undefined && last.used + bytes <= last.bytes) {
      const address = last.address + last.used;
      last.used += bytes;
      return address;
    }
    const whole = Math.max(bytes, Math.min(batchBytes, regionBytesMax));
    for (const size of whole > bytes ? [whole, bytes] : [bytes]) {
      const address = this.#memory.allocate(size);
      if (address === undefined) continue;
      this.#regions.push({ address, bytes: size, used: bytes });
      return address;
    }
    return undefined;
  }

  /** What was refused leaves no gap, unless another reservation came after it. */
  giveBack(address: number, bytes: number): void {
    const last = this.#regions.at(-1);
    if (last !== undefined && last.address + last.used === address + bytes) last.used -= bytes;
  }

  /** A view of reserved bytes; void once the memory grows. */
  view(address: number, bytes: number): Uint8Array {
    invariant(!this.#isClosed, 'tensors are read before their batch is closed');
    return this.#memory.view(address, bytes);
  }

  close(): void {
    invariant(!this.#isClosed, 'a batch is closed once');
    this.#isClosed = true;
    for (const { address } of this.#regions) this.#memory.release(address);
  }
}
