/** What one thread prepares inputs with: its image decoder, and the memory that image tensors lie in. */
import type { Failure, JobInput, ModelManifest } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import sharp from 'sharp';
import { prepare, type PreparedItem } from './prepare.ts';

/** Who decodes JPEG. auto: libjpeg-turbo where it can be loaded, else sharp. */
export type JpegDecoderChoice = 'auto' | 'turbojpeg' | 'sharp';

export interface PreparerOptions {
  readonly jpegDecoder: JpegDecoderChoice;
}

export interface Preparer {
  /** What decodes JPEG here, for people, such as `sharp 0.35.5 (libvips 8.18.0)`. */
  readonly jpegDecoder: string;
  /**
   * Room for the tensors of one batch; several may be open at a time. Image tensors prepared in one batch
   * lie back to back in one buffer, in the order in which `prepare` was called.
   */
  openBatch(): PreparedBatch;
  close(): void;
}

export interface PreparedBatch {
  /**
   * `input_rejected`: this input cannot be used, and the detail says which part of it and why.
   * `model_error`: the manifest asks for what pipelines cannot fill.
   */
  prepare(manifest: ModelManifest, input: JobInput): Promise<Result<PreparedItem, Failure>>;
  /** The memory is used again; tensors of this batch must not be read any more. */
  close(): void;
}

/** Opens what one thread prepares with. An error where the decoder that was asked for cannot be had. */
export async function openPreparer(options: PreparerOptions): Promise<Result<Preparer, string>> {
  if (options.jpegDecoder === 'turbojpeg') {
    return err('libjpeg-turbo is not supported by this build');
  }
  return ok({
    jpegDecoder: `sharp ${sharp.versions.sharp} (libvips ${sharp.versions.vips})`,
    openBatch: () => ({ prepare, close: () => undefined }),
    close: () => undefined,
  });
}
