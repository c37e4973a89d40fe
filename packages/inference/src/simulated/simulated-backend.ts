/**
 * A backend that costs what its manifest says, asleep on the injected clock, and can be told to fail, hang
 * or crash: load tests and drills without the hardware. Each output is the input at its position, renamed.
 */
import { failure, type ModelManifest, type SimulatedSpec, type Tensor } from '@inferry/contracts';
import { type Clock, err, invariant, ok, type Result, sleep } from '@inferry/runtime';
import type {
  Device,
  InferenceBackend,
  Item,
  LoadFailure,
  ModelInstance,
  RunFailure,
  RunItem,
  RunOutput,
} from '../port.ts';
import { isReadable, leadingValues } from './leading-values.ts';

export interface SimulatedBackendOptions {
  readonly clock: Clock;
  /** Ends the process the way a crash in native code does. */
  readonly abort: () => void;
}

export function createSimulatedBackend(options: SimulatedBackendOptions): InferenceBackend {
  return {
    load(manifest, device) {
      const problem = problemOf(manifest, device);
      const loaded: Result<ModelInstance, LoadFailure> =
        problem === undefined
          ? ok(new SimulatedInstance(manifest, device, options))
          : err({
              ...failure('model_unavailable', `${manifest.name}@${manifest.version} ${problem}`),
              code: 'model_unavailable',
            });
      return Promise.resolve(loaded);
    },
  };
}

function problemOf(manifest: ModelManifest, device: Device): string | undefined {
  const { simulated, inputs, outputs } = manifest;
  if (simulated === null) return 'says nothing of what to simulate';
  if (device.kind !== 'cpu') return `is simulated and cannot run on ${device.kind}`;
  for (const [position, output] of outputs.entries()) {
    const input = inputs[position];
    if (input === undefined || input.datatype !== output.datatype) {
      return `answers output "${output.name}" with the input at its position, which is ${input?.datatype ?? 'missing'}`;
    }
  }
  const hasTrigger = triggersOf(simulated).length > 0;
  const datatype = inputs[0]?.datatype;
  if (hasTrigger && (datatype === undefined || !isReadable(datatype))) {
    return `looks for fail_on, hang_on or crash_on in its first input, which is ${datatype ?? 'missing'}`;
  }
  return undefined;
}

function triggersOf(spec: SimulatedSpec): number[] {
  return [spec.failOn, spec.hangOn, spec.crashOn].filter((value) => value !== null);
}

function withTensors(item: RunItem): Item {
  invariant('tensors' in item, 'nothing is held where nothing is prepared');
  return item;
}

/** As many as a session of ONNX Runtime reports. */
const warmupRunsOfSize = 3;

class SimulatedInstance implements ModelInstance {
  readonly provider = 'cpu';
  readonly device: Device;
  readonly loadMs = { session: 0, warmup: 0 };
  /** There is no thread to prepare in. */
  readonly preparer = null;
  /** What warm-up runs would have taken: they would only have slept. */
  readonly warmupRuns: ModelInstance['warmupRuns'];
  readonly #spec: SimulatedSpec;
  readonly #outputs: readonly string[];
  readonly #options: SimulatedBackendOptions;

  constructor(manifest: ModelManifest, device: Device, options: SimulatedBackendOptions) {
    invariant(manifest.simulated !== null, 'a simulated model says what to simulate');
    this.device = device;
    this.#spec = manifest.simulated;
    this.#outputs = manifest.outputs.map((output) => output.name);
    this.#options = options;
    const sizes = manifest.maxBatchSize > 0 ? manifest.warmupRows : [1];
    this.warmupRuns = sizes.flatMap((rows) =>
      Array.from({ length: warmupRunsOfSize }, () => ({ rows, ms: this.#durationMs(rows) })),
    );
  }

  #durationMs(rows: number): number {
    return this.#spec.runMs + this.#spec.rowMs * rows;
  }

  async run(
    given: readonly RunItem[],
    outputs: readonly string[],
  ): Promise<Result<RunOutput, RunFailure>> {
    const items = given.map(withTensors);
    const { crashOn, hangOn, failOn } = this.#spec;
    const { clock, abort } = this.#options;
    const values = triggersOf(this.#spec).length > 0 ? items.flatMap(leadingValues) : [];
    const isHit = (trigger: number | null): boolean => trigger !== null && values.includes(trigger);
    if (isHit(crashOn)) abort();
    if (isHit(crashOn) || isHit(hangOn)) await new Promise<never>(() => undefined);

    const startedAtMs = clock.nowMs();
    const durationMs = this.#durationMs(items.reduce((sum, item) => sum + item.rows, 0));
    if (durationMs > 0) await sleep(clock, durationMs);
    if (isHit(failOn)) {
      return err({
        ...failure('model_error', `The model failed: simulated failure on ${failOn}`),
        code: 'model_error',
      });
    }
    const wanted = outputs.length === 0 ? this.#outputs : outputs;
    return ok({
      items: items.map((item) => wanted.map((name) => this.#renamed(item, name))),
      computeMs: clock.nowMs() - startedAtMs,
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** The caller gave its buffers up, so the output may be the input's own bytes. */
  #renamed(item: Item, output: string): Tensor {
    const tensor = item.tensors[this.#outputs.indexOf(output)];
    invariant(tensor !== undefined, `output "${output}" has an input at its position`);
    return { ...tensor, name: output };
  }
}
