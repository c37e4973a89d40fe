/** What one thread prepares inputs with: image decoder, tokenizers, and the memory that image tensors lie in. */
import { defaultLimits, type Failure, type JobInput, type ModelManifest } from '@inferry/contracts';
import { invariant, ok, type Result } from '@inferry/runtime';
import { ImageFiller } from './image/image-filler.ts';
import { LinearMemory } from './image/linear-memory.ts';
import { Resizer } from './image/resizer.ts';
import { sharpDescription } from './image/sharp-decoder.ts';
import { TensorRoom } from './image/tensor-room.ts';
import { openTurboJpeg, type TurboJpeg } from './image/turbojpeg.ts';
import { prepare, type PreparedItem } from './prepare.ts';
import { Tokenizers } from './text/tokenizers.ts';

/** Who decodes JPEG. auto: libjpeg-turbo where it can be loaded, else sharp. */
export type JpegDecoderChoice = 'auto' | 'turbojpeg' | 'sharp';

export interface PreparerOptions {
  readonly jpegDecoder: JpegDecoderChoice;
}

export interface Preparer {
  /** What decodes JPEG here, for people, `libjpeg-turbo 2.1.5` or `sharp 0.35.5 (libvips 8.18.0)`. */
  readonly jpegDecoder: string;
  /**
   * Room for the tensors of one batch; several may be open at a time. Image tensors prepared in one batch
   * lie back to back in one buffer, in the order in which `prepare` was called, up to 256 MiB; an input
   * that is refused after a later one was begun leaves a gap.
   */
  openBatch(): PreparedBatch;
  /** Nothing with the digest of this manifest is prepared any more: what was read for it goes. */
  forget(manifest: ModelManifest): void;
  close(): void;
}

export interface PreparedBatch {
  /**
   * `input_rejected`: this input cannot be used, and the detail says which part of it and why.
   * `model_error`: the manifest asks for what pipelines cannot fill.
   */
  prepare(manifest: ModelManifest, input: JobInput): Promise<Result<PreparedItem, Failure>>;
  /**
   * Once everything in it is prepared. The memory is used again; tensors of this batch must not be read any
   * more.
   */
  close(): void;
}

/** Opens what one thread prepares with. An error where the decoder that was asked for cannot be had. */
export async function openPreparer(options: PreparerOptions): Promise<Result<Preparer, string>> {
  const turbo = await turboFor(options.jpegDecoder);
  if (!turbo.ok) return turbo;
  const memory = new LinearMemory(defaultLimits.imageMemoryBytesMax);
  const resizer = await Resizer.open(memory);
  const tokenizers = new Tokenizers();
  const filler = new ImageFiller({ memory, resizer, turbo: turbo.value });
  return ok({
    jpegDecoder: turbo.value?.description ?? sharpDescription,
    openBatch() {
      const room = new TensorRoom(memory);
      let underWay = 0;
      return {
        async prepare(manifest, input) {
          underWay += 1;
          try {
            return await prepare(manifest, input, { filler, room, tokenizers });
          } finally {
            underWay -= 1;
          }
        },
        close() {
          invariant(underWay === 0, 'nothing writes into the memory of a batch that is closed');
          room.close();
        },
      };
    },
    forget: (manifest) => tokenizers.forget(manifest),
    close: () => turbo.value?.close(),
  });
}

async function turboFor(choice: JpegDecoderChoice): Promise<Result<TurboJpeg | null, string>> {
  if (choice === 'sharp') return ok(null);
  const turbo = await openTurboJpeg();
  return turbo.ok || choice === 'turbojpeg' ? turbo : ok(null);
}
