/**
 * Loads and warms the models of this worker's device. All or nothing: a worker that cannot serve what it
 * was told to serve does not start, and says everything that is wrong at once.
 */
import {
  type ClassId,
  classOf,
  type Failure,
  failure,
  type ModelManifest,
  type ProviderKind,
} from '@inferry/contracts';
import type {
  Device,
  InferenceBackend,
  ModelInstance,
  PreparationModule,
  WarmupRun,
} from '@inferry/inference';
import { err, ok, type Result } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import type { WorkerDevice } from './deps.ts';
import type { WorkerTelemetry } from './telemetry.ts';

export interface LoadedModel {
  readonly cls: ClassId;
  readonly manifest: ModelManifest;
  readonly instances: readonly ModelInstance[];
  readonly loadMs: number;
  /** Runs of the warm-up, with what is prepared in the same thread. */
  readonly warmupRuns: readonly WarmupRun[];
}

export interface LoadDeps {
  readonly backend: InferenceBackend;
  readonly device: WorkerDevice;
  readonly telemetry: WorkerTelemetry;
  readonly logger: Logger;
  /** What the compute threads of a model prepare with; null where they are given tensors. */
  readonly preparationOf: (model: PlannedModel) => PreparationModule | null;
  /** What they take for a row, ms. */
  readonly prepareMsOf: (
    model: PlannedModel,
    instances: readonly ModelInstance[],
  ) => Promise<readonly number[]>;
}

/** The models that have instances for this device, each with the devices of its instances. */
export interface PlannedModel {
  readonly cls: ClassId;
  readonly manifest: ModelManifest;
  readonly devices: readonly Device[];
}

/** Leaves out, and names in the log, the models that have no instances for this device. */
export function planModels(
  manifests: readonly ModelManifest[],
  device: WorkerDevice,
  logger: Logger,
): readonly PlannedModel[] {
  const kinds: readonly ProviderKind[] = device.kind === 'cpu' ? ['cpu'] : ['cuda', 'tensorrt'];
  return manifests.flatMap((manifest) => {
    const cls = classOf(manifest.name, manifest.version);
    const devices = manifest.instances
      .filter(({ gpus, kind }) => kinds.includes(kind) && (gpus?.includes(device.index) ?? true))
      .flatMap(({ kind, count }) =>
        Array.from({ length: count }, () => ({ kind, index: device.index })),
      );
    if (devices.length > 0) return [{ cls, manifest, devices }];
    logger.warn(
      { class: cls, device: deviceName(device) },
      'no instances for this device; skipped',
    );
    return [];
  });
}

/**
 * `model_unavailable` names every model that could not be loaded; then nothing stays loaded. One model
 * after the other, so that their warm-up runs do not disturb each other; its instances together.
 */
export async function loadModels(
  planned: readonly PlannedModel[],
  deps: LoadDeps,
  onModel: (loaded: LoadedModel | { readonly cls: ClassId; readonly failed: true }) => void,
): Promise<Result<readonly LoadedModel[], Failure>> {
  if (planned.length === 0) {
    const detail = `No model has instances for ${deviceName(deps.device)}.`;
    return err(failure('model_unavailable', detail));
  }
  const loaded: LoadedModel[] = [];
  const problems: string[] = [];
  const opened: ModelInstance[] = [];
  for (const model of planned) {
    const results = await Promise.all(
      model.devices.map((device) =>
        deps.backend.load(model.manifest, device, deps.preparationOf(model)),
      ),
    );
    const instances = results.flatMap((result) => (result.ok ? [result.value] : []));
    opened.push(...instances);
    const failed = results.flatMap((result) => (result.ok ? [] : [result.error.detail]));
    if (failed.length > 0) {
      problems.push(`${model.cls}: ${[...new Set(failed)].join('; ')}`);
      deps.telemetry.modelLoadFailed(model.manifest.name);
      onModel({ cls: model.cls, failed: true });
      continue;
    }
    const rowMs = await deps.prepareMsOf(model, instances);
    const warmupRuns = instances.flatMap((instance, i) =>
      instance.warmupRuns.map(({ ms, rows }) => ({ rows, ms: ms + rows * (rowMs[i] ?? 0) })),
    );
    const done = { ...report(model, instances, deps), warmupRuns };
    loaded.push(done);
    onModel(done);
  }
  if (problems.length === 0) return ok(loaded);
  await Promise.all(opened.map((instance) => instance.close()));
  const extras = { errors: problems };
  return err(failure('model_unavailable', problems.join('\n'), { extras }));
}

/** `cpu`, `cuda:1`. */
export function deviceName(device: Device | WorkerDevice): string {
  return device.kind === 'cpu' ? 'cpu' : `${device.kind}:${device.index}`;
}

function report(
  { cls, manifest, devices }: PlannedModel,
  instances: readonly ModelInstance[],
  { telemetry, logger }: LoadDeps,
): Omit<LoadedModel, 'warmupRuns'> {
  let loadMs = 0;
  for (const [i, instance] of instances.entries()) {
    const { session, warmup } = instance.loadMs;
    telemetry.modelLoadPhase(manifest.name, 'session', session / 1_000);
    telemetry.modelLoadPhase(manifest.name, 'warmup', warmup / 1_000);
    loadMs = Math.max(loadMs, session + warmup);
    telemetry.modelLoaded(manifest.name, manifest.version, {
      expected: devices[i]?.kind ?? instance.provider,
      provider: instance.provider,
      device: deviceName(instance.device),
    });
  }
  const facts = { instances: instances.length, load_ms: Math.round(loadMs) };
  const isPreparing = instances.every((instance) => instance.preparer !== null);
  const prepared_in = isPreparing ? 'its compute threads' : 'threads of their own';
  logger.info({ class: cls, ...facts, prepared_in }, 'loaded');
  return { cls, manifest, instances, loadMs };
}
