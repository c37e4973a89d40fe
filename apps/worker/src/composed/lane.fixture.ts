/** Lanes of composed models beside a worker with ordinary ones, on the same queue. For tests only. */
import {
  classOf,
  defaultLimits,
  type EnsembleStep,
  type Failure,
  failure,
  type Limits,
  type ModelManifest,
} from '@inferry/contracts';
import { type JobQueue, type PayloadReaderOptions, StatisticsTally } from '@inferry/queue';
import { type Clock, err, ok, type Result, seededRandom } from '@inferry/runtime';
import { Leases } from '../leases.ts';
import { startPeriodic } from '../periodic.ts';
import { createInlinePreparation } from '../preparation/inline.ts';
import { openChunkDeps } from '../preparation/prepare-chunk.ts';
import { QueueClock } from '../queue-clock.ts';
import { ServiceWatch } from '../service-watch.ts';
import { Settler } from '../settle.ts';
import type { WorkerTelemetry } from '../telemetry.ts';
import { Wake } from '../wake.ts';
import { modelManifest, silent } from '../worker.fixture.ts';
import { ComposedLane } from './composed-lane.ts';
import { ensembleProgram } from './ensemble.ts';
import type { Program } from './program.ts';
import type { StepVersions } from './step-models.ts';

/** An ensemble from `x` to `y`, both as the model of the worker's fixture has them. */
export function ensembleOf(
  name: string,
  steps: readonly (Partial<EnsembleStep> & Pick<EnsembleStep, 'inputs' | 'outputs'>)[],
  more: Partial<ModelManifest> = {},
): ModelManifest {
  return {
    ...modelManifest,
    name,
    backend: 'ensemble',
    file: null,
    simulated: null,
    instances: [],
    concurrentMax: 8,
    ensemble: { steps: steps.map((step) => ({ model: 'echo', version: null, ...step })) },
    ...more,
  };
}

export interface Lanes {
  readonly lanes: readonly ComposedLane[];
  readonly leases: Leases;
  readonly settler: Settler;
  /** The steps know these versions from now on. */
  readonly know: (manifests: readonly ModelManifest[]) => void;
  readonly stop: () => Promise<void>;
}

export interface LanesOptions {
  readonly queue: JobQueue;
  readonly clock: Clock;
  readonly composed: readonly ModelManifest[];
  /** What steps may name, beside the composed ones; the last of a name is its default version. */
  readonly models?: readonly ModelManifest[];
  readonly workerId?: string;
  readonly limits?: Partial<Limits>;
  readonly payloadReaderOptions?: PayloadReaderOptions;
  readonly programOf?: (manifest: ModelManifest) => Program;
  readonly telemetry?: WorkerTelemetry;
}

export async function openLanes(options: LanesOptions): Promise<Lanes> {
  const { clock, composed, programOf = ensembleProgram, queue, workerId = 'composer' } = options;
  const telemetry = options.telemetry ?? deaf();
  const limits = { ...defaultLimits, ...options.limits };
  let known = [...(options.models ?? [modelManifest]), ...composed];
  const queueClock = new QueueClock(clock);
  const statistics = new StatisticsTally(queue);
  const manifests = new Map(composed.map((one) => [classOf(one.name, one.version), one]));
  const watches = new Map(
    composed.map((one) => [
      classOf(one.name, one.version),
      new ServiceWatch(one, telemetry, () => undefined),
    ]),
  );
  const halt = new AbortController().signal;
  const shared = { clock, queue, queueClock, statistics, telemetry, logger: silent, halt };
  const leases = new Leases({ ...shared, workerId });
  for (const cls of manifests.keys()) leases.add(cls);
  const settler = new Settler({ ...shared, leases, watchOf: (cls) => watches.get(cls) });
  const preparation = createInlinePreparation(
    await openChunkDeps(
      {
        manifests,
        payloadReaderOptions: options.payloadReaderOptions ?? null,
        jpegDecoder: 'auto',
      },
      clock,
    ),
  );
  const wake = new Wake({ queue, workerId, clock });
  const resolve = (model: string, versions: StepVersions): Result<ModelManifest, Failure> => {
    const of = known.filter(({ name }) => name === model);
    const [found] = versions.flatMap(
      (wanted) => of.findLast(({ version }) => version === (wanted ?? version)) ?? [],
    );
    return found === undefined
      ? err(failure('model_not_found', 'there is no such model'))
      : ok(found);
  };
  const steps = { gatewayId: workerId, random: seededRandom(11), resolve };
  const lanes = composed.map((manifest) => {
    const cls = classOf(manifest.name, manifest.version);
    const watch = watches.get(cls) ?? new ServiceWatch(manifest, telemetry, () => undefined);
    const own = { cls, manifest, watch, rowsMax: Math.max(1, manifest.maxBatchSize) };
    const program = programOf(manifest);
    const context = {
      ...shared,
      ...own,
      leases,
      limits,
      preparation,
      program,
      settler,
      steps,
      workerId,
    };
    return new ComposedLane({ context, wake });
  });
  await leases.renew();
  const stopRenewing = startPeriodic({
    name: 'renew',
    clock,
    logger: silent,
    delayMs: () => limits.leaseMs / 3,
    task: () => leases.renew(),
  });
  for (const lane of lanes) lane.start();
  return {
    lanes,
    leases,
    settler,
    know: (manifests) => {
      known = [...manifests, ...composed];
    },
    async stop() {
      for (const lane of lanes) lane.stopClaiming();
      await Promise.all(lanes.map((lane) => lane.idle()));
      await stopRenewing();
      await preparation.close();
    },
  };
}

function deaf(): WorkerTelemetry {
  return new Proxy({}, { get: () => () => undefined }) as WorkerTelemetry;
}
