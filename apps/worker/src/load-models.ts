/** Loads and warms the models of this worker's device. */
import {
  type ClassId,
  classOf,
  isComposed,
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

const nowhere: Device = { kind: 'cpu', index: 0 };

/** The models with their devices, and those that have no instances for this one. */
export function planModels(
  manifests: readonly ModelManifest[],
  device: WorkerDevice,
): { readonly planned: readonly PlannedModel[]; readonly skipped: readonly ClassId[] } {
  const kinds: readonly ProviderKind[] = device.kind === 'cpu' ? ['cpu'] : ['cuda', 'tensorrt'];
  const planned = manifests.map((manifest) => {
    const cls = classOf(manifest.name, manifest.version);
    // It runs nothing here, and so on any device.
    if (isComposed(manifest)) return { cls, manifest, devices: [nowhere] };
    const devices = manifest.instances
      .filter(({ gpus, kind }) => kinds.includes(kind) && (gpus?.includes(device.index) ?? true))
      .flatMap(({ kind, count }) =>
        Array.from({ length: count }, () => ({ kind, index: device.index })),
      );
    return { cls, manifest, devices };
  });
  return {
    planned: planned.filter(({ devices }) => devices.length > 0),
    skipped: planned.filter(({ devices }) => devices.length === 0).map(({ cls }) => cls),
  };
}

/**
 * Loads and warms one model; an error says why it cannot be, and then nothing of it stays loaded. Its instances
 * load together, or one after the other where something else runs beside them.
 */
export async function loadModel(
  model: PlannedModel,
  deps: LoadDeps,
  { isAlone }: { readonly isAlone: boolean },
): Promise<Result<LoadedModel, string>> {
  const { devices, manifest } = model;
  const load = (device: Device): Promise<Result<ModelInstance, string>> =>
    orReason(async () => {
      const loaded = await deps.backend.load(manifest, device, deps.preparationOf(model));
      return loaded.ok ? loaded : err(loaded.error.detail);
    });
  const results: Awaited<ReturnType<typeof load>>[] = [];
  if (isAlone) results.push(...(await Promise.all(devices.map(load))));
  else for (const device of devices) results.push(await load(device));
  const instances = results.flatMap((result) => (result.ok ? [result.value] : []));
  const failed = results.flatMap((result) => (result.ok ? [] : [result.error]));
  const rowMs =
    failed.length > 0
      ? err([...new Set(failed)].join('; '))
      : await orReason(async () => ok(await deps.prepareMsOf(model, instances)));
  if (!rowMs.ok) {
    await Promise.all(instances.map((instance) => instance.close()));
    return rowMs;
  }
  const warmupRuns = instances.flatMap((instance, i) =>
    instance.warmupRuns.map(({ ms, rows }) => ({ rows, ms: ms + rows * (rowMs.value[i] ?? 0) })),
  );
  return ok({ ...report(model, instances, deps), warmupRuns });
}

/** A thread may end where nothing else ends it: what throws then must not leave a model about to be loaded for ever. */
async function orReason<T>(step: () => Promise<Result<T, string>>): Promise<Result<T, string>> {
  try {
    return await step();
  } catch (cause) {
    return err(cause instanceof Error ? cause.message : String(cause));
  }
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
