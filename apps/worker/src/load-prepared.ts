/** Loads a model with all that serving it takes: its sessions, what prepares for it, and whether that works. */
import { isComposed } from '@inferry/contracts';
import { checkTexts, openPreparer } from '@inferry/pipelines';
import { err, invariant, ok, type Result } from '@inferry/runtime';
import type { PreparedProgram } from './composed/composed-class.ts';
import { openProgram } from './composed/open-program.ts';
import type { ServingDeps } from './deps.ts';
import { type LoadedModel, loadModel, type PlannedModel } from './load-models.ts';
import { measurePreparation, preparationModule } from './preparation/in-compute.ts';
import { createInlinePreparation } from './preparation/inline.ts';
import { startPreparationPool } from './preparation/pool.ts';
import { openChunkDeps } from './preparation/prepare-chunk.ts';
import type { Preparation, SharedPreparation } from './preparation/preparation.ts';
import type { PreparedModel } from './session-class.ts';

/** A model that can be served: its sessions, or its program. */
export type Prepared = PreparedModel | PreparedProgram;

/** Of one that nobody was given; what it serves is closed with its class. */
export async function closePrepared(prepared: Prepared): Promise<void> {
  await prepared.preparation?.close();
  const { instances, program } = { instances: [], program: null, ...prepared };
  await program?.close();
  await Promise.all(instances.map((instance) => instance.close()));
}

export class ModelLoader {
  readonly #deps: ServingDeps;
  /** What decodes JPEG here; null before {@link open}. */
  #jpegDecoder: string | null = null;
  /** Opened for the first model that is not prepared in its compute threads. */
  #preparation: Promise<SharedPreparation> | null = null;
  /** Opened for the first composed model. */
  #inline: Promise<SharedPreparation> | null = null;

  constructor(deps: ServingDeps) {
    this.#deps = deps;
  }

  /** Finds out what decodes images; the error says why that cannot be had. */
  async open(): Promise<Result<void, string>> {
    const decoder = await openPreparer(this.#deps);
    if (!decoder.ok) return decoder;
    const { jpegDecoder } = decoder.value;
    decoder.value.close();
    this.#jpegDecoder = jpegDecoder;
    this.#deps.logger.info({ jpeg_decoder: jpegDecoder }, 'images are decoded');
    return ok(undefined);
  }

  /** The error says why it cannot be served; nothing stays open then. `isAlone`: nothing runs beside it. */
  async load(
    planned: PlannedModel,
    how: { readonly isAlone: boolean },
  ): Promise<Result<Prepared, string>> {
    const { cls, manifest } = planned;
    try {
      return await (isComposed(manifest) ? this.#openProgram(planned) : this.#load(planned, how));
    } catch (cause) {
      // A bug. What comes after it in line is loaded all the same.
      this.#deps.logger.error({ class: cls, err: cause }, 'a load broke off');
      return err(cause instanceof Error ? cause.message : String(cause));
    }
  }

  async #load(
    planned: PlannedModel,
    how: { readonly isAlone: boolean },
  ): Promise<Result<PreparedModel, string>> {
    const deps = this.#deps;
    const text = await this.#checkText(planned);
    if (!text.ok) return text;
    const loaded = await loadModel(
      planned,
      {
        ...deps,
        preparationOf: (model) => preparationModule(model, deps),
        prepareMsOf: (model, instances) => measurePreparation(model, instances, deps),
      },
      how,
    );
    if (!loaded.ok) return loaded;
    try {
      const preparation = await this.#preparationFor(loaded.value);
      this.#tellPreparation(loaded.value);
      return ok({ ...loaded.value, preparation });
    } catch (cause) {
      await Promise.all(loaded.value.instances.map((instance) => instance.close()));
      const reason = cause instanceof Error ? cause.message : String(cause);
      return err(`The preparation threads cannot start: ${reason}`);
    }
  }

  /** Only when nothing is prepared any more. */
  async close(): Promise<void> {
    for (const opening of [this.#preparation, this.#inline]) {
      const opened = await opening?.catch(() => null);
      await opened?.close();
    }
  }

  async #openProgram({ cls, manifest }: PlannedModel): Promise<Result<PreparedProgram, string>> {
    const program = await openProgram(manifest, this.#deps);
    if (!program.ok) return program;
    // They take tensors as they are: no thread is needed to make them.
    this.#inline ??= this.#openInline();
    const preparation = (await this.#inline).open(cls, manifest);
    this.#deps.telemetry.modelLoaded(manifest.name, manifest.version, null);
    this.#deps.logger.info({ class: cls }, 'loaded');
    return ok({ cls, manifest, program: program.value, preparation });
  }

  async #openInline(): Promise<SharedPreparation> {
    const { clock, jpegDecoder, payloadReaderOptions } = this.#deps;
    const data = { manifests: new Map(), payloadReaderOptions, jpegDecoder };
    return createInlinePreparation(await openChunkDeps(data, clock));
  }

  /** A tokenizer that cannot be used is found before anybody sends a text. */
  async #checkText({ manifest }: PlannedModel): Promise<Result<void, string>> {
    if (manifest.preprocess.kind !== 'text') return ok(undefined);
    const preparer = await openPreparer(this.#deps);
    if (!preparer.ok) return preparer;
    const checked = await checkTexts(preparer.value, [manifest]);
    preparer.value.close();
    return checked.ok ? ok(undefined) : err(checked.error.detail);
  }

  /** Null where its compute threads prepare. */
  async #preparationFor({ cls, instances, manifest }: LoadedModel): Promise<Preparation | null> {
    if (instances.every((instance) => instance.preparer !== null)) return null;
    const opening = this.#preparation ?? this.#openPreparation();
    this.#preparation = opening;
    try {
      return (await opening).open(cls, manifest);
    } catch (cause) {
      this.#preparation = null;
      throw cause;
    }
  }

  async #openPreparation(): Promise<SharedPreparation> {
    const { clock, jpegDecoder, limits, logger, onStuck, payloadReaderOptions } = this.#deps;
    const { preparationThreads: threads } = this.#deps;
    const data = { manifests: new Map(), payloadReaderOptions, jpegDecoder };
    if (threads === 0) return this.#openInline();
    return startPreparationPool({
      ...data,
      threads,
      clock,
      logger,
      chunkMsMax: limits.preparationMsMax,
      onStuck: () => onStuck('a preparation'),
    });
  }

  #tellPreparation({ instances, manifest }: LoadedModel): void {
    const { preparationThreads, telemetry } = this.#deps;
    invariant(this.#jpegDecoder !== null, 'the loader is open');
    const elsewhere = preparationThreads > 0 ? 'threads' : 'main';
    const isHere = instances.every((instance) => instance.preparer !== null);
    const decoder = manifest.preprocess.kind === 'image' ? this.#jpegDecoder : 'none';
    telemetry.preparation(manifest.name, isHere ? 'compute' : elsewhere, decoder);
  }
}
