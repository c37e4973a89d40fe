/**
 * The resize kernel with its memory: decoded pixels become one image of a tensor. Plans are kept by size,
 * because the images of a model often have few.
 */
import type { ImageSpec } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import type { ImageFit } from './fit.ts';
import { kernelBinary } from './kernel-binary.ts';
import type { LinearMemory } from './linear-memory.ts';
import type { Orientation } from './orientation.ts';
import { type ImageDatatype, resizePlan, type SourceSize } from './resize-plan.ts';
import { webAssembly } from './web-assembly.ts';

/** Plans kept, and the bytes that they may take together; the one unused for longest goes first. */
const plansMax = 256;
const planBytesMax = 32 * 1024 * 1024;

type Kernel = (plan: number, source: number, target: number) => void;

interface KeptPlan {
  readonly address: number;
  readonly bytes: number;
}

export interface ResizeJob {
  readonly spec: ImageSpec;
  readonly datatype: ImageDatatype;
  readonly fit: ImageFit;
  readonly size: SourceSize;
  readonly orientation: Orientation;
}

export class Resizer {
  readonly #memory: LinearMemory;
  readonly #kernel: Kernel;
  readonly #specIds = new WeakMap<ImageSpec, number>();
  #specCount = 0;
  /** By use, the longest unused first. */
  readonly #plans = new Map<string, KeptPlan>();
  #planBytes = 0;

  private constructor(memory: LinearMemory, kernel: Kernel) {
    this.#memory = memory;
    this.#kernel = kernel;
  }

  static async open(memory: LinearMemory): Promise<Resizer> {
    const binary = Buffer.from(kernelBinary, 'base64');
    const imports = { env: { memory: memory.memory } };
    const { instance } = await webAssembly.instantiate(binary, imports);
    const { resize } = instance.exports;
    invariant(typeof resize === 'function', 'the kernel exports resize');
    return new Resizer(memory, resize as Kernel);
  }

  /**
   * Reads the pixels at `source` (RGB, rows without gaps, with `sourceBytes` of room) and writes the image
   * at `target`. False where the memory has no room for the plan.
   */
  resize(job: ResizeJob, source: number, target: number): boolean {
    const plan = this.#planFor(job);
    if (plan === undefined) return false;
    this.#kernel(plan.address, source, target);
    return true;
  }

  #planFor(job: ResizeJob): KeptPlan | undefined {
    const { spec, datatype, fit, size, orientation } = job;
    const { isSwapped, isXFlipped, isYFlipped } = orientation;
    const turned = Number(isSwapped) + 2 * Number(isXFlipped) + 4 * Number(isYFlipped);
    const key = `${this.#idOf(spec)} ${datatype} ${size.width} ${size.height} ${size.scaleX} ${size.scaleY} ${turned}`;
    const kept = this.#plans.get(key);
    if (kept !== undefined) {
      this.#plans.delete(key);
      this.#plans.set(key, kept);
      return kept;
    }
    const plan = resizePlan(spec, datatype, fit, size, orientation);
    this.#makeRoom(plan.bytes);
    const address = this.#memory.allocate(plan.bytes);
    if (address === undefined) return undefined;
    plan.writeAt(address, this.#memory.view(address, plan.bytes));
    const fresh = { address, bytes: plan.bytes };
    this.#plans.set(key, fresh);
    this.#planBytes += plan.bytes;
    return fresh;
  }

  #makeRoom(bytes: number): void {
    for (const [key, plan] of this.#plans) {
      if (this.#plans.size < plansMax && this.#planBytes + bytes <= planBytesMax) return;
      this.#memory.release(plan.address);
      this.#plans.delete(key);
      this.#planBytes -= plan.bytes;
    }
  }

  #idOf(spec: ImageSpec): number {
    const known = this.#specIds.get(spec);
    if (known !== undefined) return known;
    this.#specCount += 1;
    this.#specIds.set(spec, this.#specCount);
    return this.#specCount;
  }
}
