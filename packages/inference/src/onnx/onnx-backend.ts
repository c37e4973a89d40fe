/** ONNX Runtime behind the inference port: one compute thread and one session for each instance. */
import { type Failure, failure, fullInputs, type ModelManifest } from '@inferry/contracts';
import { err, type Err, invariant, ok, type Result } from '@inferry/runtime';
import type {
  Device,
  InferenceBackend,
  LoadFailure,
  ModelInstance,
  PreparationModule,
  PreparedInThread,
  RunFailure,
  RunItem,
  RunOutput,
  ThreadPreparer,
} from '../port.ts';
import { missingProviderFile, onnxLibraryDirectory } from './providers.ts';
import { type Gone, type StartedThread, ThreadHandle } from './thread-handle.ts';
import type { RunAnswer, ThreadStart } from './thread-messages.ts';

export interface OnnxBackendOptions {
  /** Where ONNX Runtime looks for provider libraries; the installed package's own folder by default. */
  readonly libraryDirectory?: string;
}

/** Loads `manifest.file` on the device asked for, or fails: there is no other provider to fall back to. */
export function createOnnxBackend(options: OnnxBackendOptions = {}): InferenceBackend {
  const libraryDirectory = options.libraryDirectory ?? onnxLibraryDirectory();
  return {
    async load(manifest, device, preparation = null) {
      const label = `${manifest.name}@${manifest.version}`;
      const missing = missingProviderFile(device.kind, libraryDirectory);
      if (missing !== undefined) {
        return unavailable(
          `${label} cannot run on ${device.kind}: ${missing} is not installed; run: inferry setup cuda`,
        );
      }
      const start = threadStart(manifest, device, preparation);
      const thread = await ThreadHandle.start(start);
      if (!thread.ok) {
        return unavailable(`${label} cannot be loaded: ${thread.error}${hintFor(device)}`);
      }
      return ok(new OnnxInstance(start, thread.value));
    },
  };
}

/** ONNX Runtime says that a provider cannot be opened, but not which of its libraries is missing. */
function hintFor(device: Device): string {
  return device.kind === 'cpu' ? '' : ' (inferry setup cuda lists missing CUDA libraries)';
}

function unavailable(detail: string): Err<LoadFailure> {
  return err({ ...failure('model_unavailable', detail), code: 'model_unavailable' });
}

function modelError(detail: string): Err<RunFailure> {
  const error: Failure = failure('model_error', detail);
  return err({ ...error, code: 'model_error' });
}

function threadStart(
  manifest: ModelManifest,
  device: Device,
  preparation: PreparationModule | null,
): ThreadStart {
  invariant(manifest.file !== null, 'an onnxruntime model has a file');
  return {
    file: manifest.file,
    device,
    session: manifest.session,
    inputs: fullInputs(manifest),
    outputs: manifest.outputs,
    isBatched: manifest.maxBatchSize > 0,
    warmupRows: manifest.warmupRows,
    warmupSamples: manifest.warmupSamples ?? [],
    preparation,
  };
}

interface BegunRun {
  readonly batch: number;
  readonly items: number;
  readonly outputs: readonly string[];
  readonly answer: Promise<RunAnswer | Gone>;
}

/** All of the batch, in order. */
function isRunOf(begun: BegunRun, items: readonly RunItem[], outputs: readonly string[]): boolean {
  return (
    items.length === begun.items &&
    items.every(
      (item, i) => 'held' in item && item.held.batch === begun.batch && item.held.position === i,
    ) &&
    outputs.join('\n') === begun.outputs.join('\n')
  );
}

class OnnxInstance implements ModelInstance, ThreadPreparer {
  readonly provider: ModelInstance['provider'];
  readonly device: Device;
  readonly loadMs: ModelInstance['loadMs'];
  readonly warmupRuns: ModelInstance['warmupRuns'];
  readonly #start: ThreadStart;
  #thread: Promise<Result<StartedThread, string>>;
  #batches = 0;
  /** The run that the last preparation began, until its answer is used or known to be of no use. */
  #begun: BegunRun | null = null;
  /** The thread of each batch that was prepared and not dropped. */
  readonly #holders = new Map<number, ThreadHandle>();

  constructor(start: ThreadStart, started: StartedThread) {
    this.provider = started.ready.provider;
    this.device = start.device;
    this.loadMs = { session: started.ready.sessionMs, warmup: started.ready.warmupMs };
    this.warmupRuns = started.ready.warmupRuns;
    this.#start = start;
    this.#thread = Promise.resolve(ok(started));
  }

  get preparer(): ThreadPreparer | null {
    return this.#start.preparation === null ? null : this;
  }

  async prepare(request: unknown): Promise<Result<PreparedInThread, RunFailure>> {
    await this.#begun?.answer;
    const living = await this.#living();
    if (!living.ok) return modelError(`The model could not be loaded again: ${living.error}`);
    const { thread } = living.value;
    this.#batches += 1;
    const batch = this.#batches;
    const answer = await thread.prepare(batch, request);
    if (answer.kind === 'gone') {
      this.#thread = ThreadHandle.start(this.#start);
      return modelError(`The preparation was lost: ${answer.reason}`);
    }
    this.#holders.set(batch, thread);
    const { running } = answer;
    this.#begun = running === null ? null : { ...running, batch, answer: thread.begun() };
    return ok({ batch, answer: answer.answer });
  }

  holds(batch: number): boolean {
    return this.#holders.get(batch)?.isGone === false;
  }

  drop(batch: number): void {
    this.#holders.get(batch)?.drop(batch);
    this.#holders.delete(batch);
  }

  unwanted(): Promise<void> | null {
    return this.#begun === null ? null : this.#awaitBegun();
  }

  async #awaitBegun(): Promise<void> {
    await this.#begun?.answer;
    this.#begun = null;
  }

  async run(
    items: readonly RunItem[],
    outputs: readonly string[],
  ): Promise<Result<RunOutput, RunFailure>> {
    const begun = this.#begun;
    this.#begun = null;
    const answered = await begun?.answer;
    if (begun !== null && answered !== undefined && isRunOf(begun, items, outputs)) {
      return this.#resultOf(answered);
    }
    const living = await this.#living();
    if (!living.ok) return modelError(`The model could not be loaded again: ${living.error}`);
    return this.#resultOf(await living.value.thread.run(items, outputs));
  }

  #resultOf(answer: RunAnswer | Gone): Result<RunOutput, RunFailure> {
    switch (answer.kind) {
      case 'ran':
        return ok({ items: answer.items, computeMs: answer.computeMs });
      case 'threw':
        return modelError(`The model failed: ${answer.reason}`);
      case 'gone':
        // The next run finds a new thread loading, or loaded already.
        this.#thread = ThreadHandle.start(this.#start);
        return modelError(`The run was lost: ${answer.reason}`);
    }
  }

  async close(): Promise<void> {
    await this.#begun?.answer;
    const started = await this.#thread;
    if (started.ok) await started.value.thread.close();
  }

  /** The thread, replaced once if it died while idle or could not be started the last time. */
  async #living(): Promise<Result<StartedThread, string>> {
    const started = await this.#thread;
    if (started.ok && !started.value.thread.isGone) return started;
    this.#thread = ThreadHandle.start(this.#start);
    return this.#thread;
  }
}
