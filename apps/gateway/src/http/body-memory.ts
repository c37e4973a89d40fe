/**
 * Memory for large bodies and what is decoded from them, used again by later requests: new memory has to be
 * asked of the system, touched for the first time, and found by the garbage collector, which for a
 * photograph costs as much as all else that is done with its bytes.
 */
import type { Failure } from '@inferry/contracts';
import type { Result } from '@inferry/runtime';

/** Smaller pieces cost nothing to make. */
const largeBytes = 32 * 1024;
/** Pieces are rounded up to whole ones of these, so that bodies of similar sizes share them. */
const roundBytes = 64 * 1024;
/** Kept while nobody uses them: so much, in so many pieces. */
const keptBytesMax = 32 * 1024 * 1024;
const keptMax = 64;

export class BodyMemory {
  readonly #kept: ArrayBuffer[] = [];
  #keptBytes = 0;

  /** How much waits to be used again; at most 32 MiB. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** Memory for one request. */
  lend(): LentMemory {
    const lent: ArrayBuffer[] = [];
    return {
      allocate: (bytes) => {
        if (bytes < largeBytes) return new Uint8Array(bytes);
        const buffer = this.#take(bytes);
        lent.push(buffer);
        return new Uint8Array(buffer, 0, bytes);
      },
      release: ({ buffer }) => {
        const at = lent.findIndex((one) => one === buffer);
        if (at !== -1) for (const released of lent.splice(at, 1)) this.#keep(released);
      },
      giveBack: () => {
        for (const buffer of lent.splice(0)) this.#keep(buffer);
      },
    };
  }

  /** A piece that is large enough and not mostly wasted, or a new one. */
  #take(bytes: number): ArrayBuffer {
    const wanted = Math.ceil(bytes / roundBytes) * roundBytes;
    // The last one used is the likeliest to be in the processor's cache still.
    const fit = this.#kept.findLastIndex(
      ({ byteLength }) => byteLength >= wanted && byteLength <= 2 * wanted,
    );
    const [kept] = fit === -1 ? [] : this.#kept.splice(fit, 1);
    this.#keptBytes -= kept?.byteLength ?? 0;
    return kept ?? Buffer.allocUnsafeSlow(wanted).buffer;
  }

  /** The oldest give way to the newest, which is of a size that is asked for now. */
  #keep(buffer: ArrayBuffer): void {
    this.#kept.push(buffer);
    this.#keptBytes += buffer.byteLength;
    while (this.#keptBytes > keptBytesMax || this.#kept.length > keptMax) {
      this.#keptBytes -= this.#kept.shift()?.byteLength ?? 0;
    }
  }
}

export interface LentMemory {
  /** Memory with anything in it: whoever asks for it writes all of it. */
  readonly allocate: (bytes: number) => Uint8Array;
  /** One piece alone that nobody reads any more. */
  readonly release: (piece: Uint8Array) => void;
  /** Everything allocated so far, once nobody reads it any more. */
  readonly giveBack: () => void;
}

/** Ends a loan once the job is placed or refused. What a lost queue may still be sending is not used again. */
export function giveBackAfter(placed: Result<unknown, Failure>, memory: LentMemory): void {
  if (placed.ok || placed.error.code !== 'queue_unavailable') memory.giveBack();
}
