/**
 * Regions of a WebAssembly memory: first fit among what was freed, growth up to a bound. The memory moves
 * when it grows, so that regions are known by their address; a view is made for each use.
 */
import { invariant } from '@inferry/runtime';
import { type WasmMemory, webAssembly } from './web-assembly.ts';

const pageBytes = 65_536;
/** Alignment of every region; a cache line, and a multiple of the kernel's vectors. */
const alignment = 64;
/** The memory grows by at least this much, as growing makes all views new. */
const growthBytesMin = 16 * 1024 * 1024;

interface Region {
  readonly address: number;
  readonly bytes: number;
}

export class LinearMemory {
  readonly memory: WasmMemory;
  readonly bytesMax: number;
  /** By address, no two adjacent. */
  readonly #free: Region[] = [];
  readonly #used = new Map<number, number>();
  /** Everything from here on was never handed out. Address 0 is none. */
  #end = alignment;

  constructor(bytesMax: number) {
    const pagesMax = Math.floor(bytesMax / pageBytes);
    this.bytesMax = pagesMax * pageBytes;
    this.memory = new webAssembly.Memory({ initial: 1, maximum: pagesMax });
  }

  /** The address of `bytes` bytes of any content, or undefined where the bound leaves no room for them. */
  allocate(bytes: number): number | undefined {
    const size = Math.max(alignment, Math.ceil(bytes / alignment) * alignment);
    const address = this.#takeFree(size) ?? this.#takeEnd(size);
    if (address !== undefined) this.#used.set(address, size);
    return address;
  }

  release(address: number): void {
    const bytes = this.#used.get(address);
    invariant(bytes !== undefined, 'a region is released once');
    this.#used.delete(address);
    const at = this.#free.findIndex((region) => region.address > address);
    const place = at === -1 ? this.#free.length : at;
    const before = this.#free[place - 1];
    const after = this.#free[place];
    const joinsBefore = before !== undefined && before.address + before.bytes === address;
    const joinsAfter = after !== undefined && address + bytes === after.address;
    const start = joinsBefore ? before.address : address;
    const end = joinsAfter ? after.address + after.bytes : address + bytes;
    const joined = Number(joinsBefore) + Number(joinsAfter);
    const region = { address: start, bytes: end - start };
    // What ends where nothing begins is not kept in the list, so that it can grow with the memory.
    const isLast = end === this.#end;
    if (isLast) this.#end = start;
    this.#free.splice(joinsBefore ? place - 1 : place, joined, ...(isLast ? [] : [region]));
  }

  /** A view of a region; void once the memory grows. */
  view(address: number, bytes: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.memory.buffer, address, bytes);
  }

  #takeFree(bytes: number): number | undefined {
    const at = this.#free.findIndex((region) => region.bytes >= bytes);
    const region = this.#free[at];
    if (region === undefined) return undefined;
    const rest = { address: region.address + bytes, bytes: region.bytes - bytes };
    this.#free.splice(at, 1, ...(rest.bytes > 0 ? [rest] : []));
    return region.address;
  }

  #takeEnd(bytes: number): number | undefined {
    const address = this.#end;
    const end = address + bytes;
    if (end > this.bytesMax) return undefined;
    const size = this.memory.buffer.byteLength;
    if (end > size) {
      const wanted = Math.min(this.bytesMax, Math.max(end, size + growthBytesMin));
      try {
        this.memory.grow(Math.ceil((wanted - size) / pageBytes));
      } catch {
        // The system has no more memory to give.
        return undefined;
      }
    }
    this.#end = end;
    return address;
  }
}
