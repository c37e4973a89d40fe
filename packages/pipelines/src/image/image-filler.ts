/**
 * Compressed images become images of a tensor, in the memory of one thread. JPEG is decoded by
 * libjpeg-turbo straight into that memory, at the smallest scale that will do; everything else, and what
 * libjpeg-turbo is not sure about, by sharp. All go through the same kernel.
 */
import { defaultLimits, type ImageSpec } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { decodedEighths, eighthsMax, sharpSize } from './decoded-scale.ts';
import { fitImage, type ImagePlacement, placementOf } from './fit.ts';
import { isJpeg, type JpegHeader, readJpegHeader } from './jpeg-header.ts';
import type { LinearMemory } from './linear-memory.ts';
import { orientationOf, upright } from './orientation.ts';
import { type ImageDatatype, sourceBytes, type SourceSize } from './resize-plan.ts';
import type { ResizeJob, Resizer } from './resizer.ts';
import { decodeWithSharp, sizeOf } from './sharp-decoder.ts';
import type { TurboJpeg } from './turbojpeg.ts';

/**
 * Scans of a JPEG times its pixels. Progressive files have about ten; hundreds of scans over a large image
 * are a few kilobytes that take a minute, in which no decoder can be stopped.
 */
const scannedPixelsMax = 12 * defaultLimits.imagePixelsMax;
/** Room for decoded pixels that is kept for the next image; more is given back at once. */
const keptBytesMax = 32 * 1024 * 1024;

export interface FillerParts {
  readonly memory: LinearMemory;
  readonly resizer: Resizer;
  readonly turbo: TurboJpeg | null;
}

interface Decoding {
  readonly spec: ImageSpec;
  readonly datatype: ImageDatatype;
  readonly bytes: Uint8Array;
  /** Where the image of the tensor begins in memory. */
  readonly target: number;
}

export class ImageFiller {
  readonly #parts: FillerParts;
  /** Room for decoded pixels. Used between two awaits only, so that one is enough. */
  #source: { readonly address: number; readonly bytes: number } | null = null;

  constructor(parts: FillerParts) {
    this.#parts = parts;
  }

  /** Writes one image of a tensor. Errors say why the image cannot be used, for a person. */
  async write(decoding: Decoding): Promise<Result<ImagePlacement, string>> {
    const { bytes } = decoding;
    if (bytes.length === 0) return err('is empty');
    if (!isJpeg(bytes)) return this.#fillAny(decoding);
    const header = readJpegHeader(bytes);
    return header.ok ? this.#fillJpeg(decoding, header.value) : header;
  }

  async #fillJpeg(decoding: Decoding, header: JpegHeader): Promise<Result<ImagePlacement, string>> {
    const { spec } = decoding;
    const { width, height } = header;
    const problem = sizeProblem(header);
    if (problem !== undefined) return err(problem);
    const orientation = spec.orient ? orientationOf(header.orientation) : upright;
    const turned = orientation.isSwapped ? { width: height, height: width } : { width, height };
    const fit = fitImage(spec, turned.width, turned.height);
    const placement = placementOf(fit, turned.width, turned.height);

    const { turbo } = this.#parts;
    if (turbo !== null && header.components < 4) {
      const size = sizeAt(decodedEighths(spec, fit), width, height);
      const job = { ...decoding, fit, size, orientation };
      const outcome = this.#decodeTurbo(turbo, job);
      if (outcome.kind === 'done') return ok(placement);
      if (outcome.kind === 'failed') return err(outcome.reason);
    }
    const storedFit = orientation.isSwapped ? { x: fit.y, y: fit.x } : fit;
    const size = sharpSize(spec, storedFit, width, height, true);
    const lack = await this.#fillWithSharp({ ...decoding, fit, size, orientation }, false);
    return lack === undefined ? ok(placement) : err(lack);
  }

  #decodeTurbo(
    turbo: TurboJpeg,
    job: ResizeJob & Decoding,
  ): { readonly kind: 'done' | 'unsure' } | { readonly kind: 'failed'; readonly reason: string } {
    const { decodedWidth, decodedHeight } = job.size;
    const source = this.#sourceFor(job.size);
    if (source === undefined) return { kind: 'failed', reason: tooLarge(job.size) };
    const view = this.#parts.memory.view(source, decodedWidth * decodedHeight * 3);
    const outcome = turbo.decode(job.bytes, view, decodedWidth, decodedHeight);
    const isDone =
      outcome.kind === 'decoded' && this.#parts.resizer.resize(job, source, job.target);
    this.#trimSource();
    switch (outcome.kind) {
      case 'decoded':
        return isDone ? { kind: 'done' } : { kind: 'failed', reason: tooLarge(job.size) };
      case 'warned':
        // It may be a file that ends too soon, or a stray byte: sharp knows which.
        return { kind: 'unsure' };
      case 'failed':
        return { kind: 'failed', reason: `cannot be decoded: ${outcome.reason}` };
    }
  }

  async #fillAny(decoding: Decoding): Promise<Result<ImagePlacement, string>> {
    const { spec, bytes } = decoding;
    const found = await sizeOf(bytes, spec.orient);
    if (!found.ok) return found;
    const { width, height } = found.value;
    const fit = fitImage(spec, width, height);
    const size = sharpSize(spec, fit, width, height, false);
    const job = { ...decoding, fit, size, orientation: upright };
    const lack = await this.#fillWithSharp(job, spec.orient);
    return lack === undefined ? ok(placementOf(fit, width, height)) : err(lack);
  }

  /** What stood in the way, if anything did. */
  async #fillWithSharp(job: ResizeJob & Decoding, isTurned: boolean): Promise<string | undefined> {
    const { width, height, decodedWidth, decodedHeight } = job.size;
    const pixels = await decodeWithSharp(job.bytes, {
      ...job.spec,
      width: decodedWidth,
      height: decodedHeight,
      isReduced: decodedWidth < width || decodedHeight < height,
      isTurned,
      msMax: defaultLimits.imageDecodeMsMax,
    });
    return pixels.ok ? this.#resize(job, pixels.value) : pixels.error;
  }

  /** Resizes pixels that are not in the kernel's memory yet. */
  #resize(job: ResizeJob & Decoding, pixels: Uint8Array): string | undefined {
    const source = this.#sourceFor(job.size);
    if (source === undefined) return tooLarge(job.size);
    this.#parts.memory.view(source, pixels.length).set(pixels);
    const isDone = this.#parts.resizer.resize(job, source, job.target);
    this.#trimSource();
    return isDone ? undefined : tooLarge(job.size);
  }

  #sourceFor(size: SourceSize): number | undefined {
    const bytes = sourceBytes(size);
    if (this.#source !== null && this.#source.bytes >= bytes) return this.#source.address;
    const { memory } = this.#parts;
    if (this.#source !== null) memory.release(this.#source.address);
    this.#source = null;
    const address = memory.allocate(bytes);
    if (address !== undefined) this.#source = { address, bytes };
    return address;
  }

  #trimSource(): void {
    if (this.#source === null || this.#source.bytes <= keptBytesMax) return;
    this.#parts.memory.release(this.#source.address);
    this.#source = null;
  }
}

function sizeProblem({ width, height, scans }: JpegHeader): string | undefined {
  const pixels = width * height;
  const { imagePixelsMax } = defaultLimits;
  if (pixels > imagePixelsMax) return `has more than ${imagePixelsMax} pixels`;
  const scansMax = Math.floor(scannedPixelsMax / pixels);
  if (scans <= scansMax) return undefined;
  return `is coded in ${scans} scans; with ${pixels} pixels it may have ${scansMax}`;
}

/** JPEG decoders round each side up. More eighths that give the same size are what they decode at. */
function sizeAt(eighths: number, width: number, height: number): SourceSize {
  const at = (size: number, count: number): number => Math.ceil((size * count) / eighthsMax);
  const isSame = (count: number): boolean =>
    at(width, count) === at(width, eighths) && at(height, count) === at(height, eighths);
  let largest = eighths;
  while (largest < eighthsMax && isSame(largest + 1)) largest += 1;
  return {
    width,
    height,
    decodedWidth: at(width, eighths),
    decodedHeight: at(height, eighths),
    scaleX: largest / eighthsMax,
    scaleY: largest / eighthsMax,
  };
}

function tooLarge({ decodedWidth, decodedHeight }: SourceSize): string {
  return `needs more memory than there is to be decoded at ${decodedWidth}x${decodedHeight}`;
}
