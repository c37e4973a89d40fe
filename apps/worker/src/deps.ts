/** What a worker is given, and what the parts that serve one class share. */
import type { ClassId, Limits, ModelManifest, ModelRouting } from '@inferry/contracts';
import type { InferenceBackend } from '@inferry/inference';
import type { JpegDecoderChoice } from '@inferry/pipelines';
import type { JobQueue, PayloadReaderOptions, StatisticsTally } from '@inferry/queue';
import type { Clock, Random } from '@inferry/runtime';
import type { LatencyModel } from '@inferry/scheduling';
import type { Logger, Tracing } from '@inferry/telemetry';
import type { BatchSize } from './batch-size.ts';
import type { DeviceShare } from './device-share.ts';
import type { Leases } from './leases.ts';
import type { Preparation } from './preparation/preparation.ts';
import type { QueueClock } from './queue-clock.ts';
import type { ServiceWatch } from './service-watch.ts';
import type { Settler } from './settle.ts';
import type { Slots } from './slots.ts';
import type { WorkerTelemetry } from './telemetry.ts';
import type { FindInstead } from './wanted-models.ts';

/** The one device of this process. A cuda worker runs cuda and tensorrt groups. */
export interface WorkerDevice {
  readonly kind: 'cpu' | 'cuda';
  /** Device ordinal; 0 on cpu. */
  readonly index: number;
}

export interface WorkerDeps {
  /** Stays open: whoever made it closes it after the worker. */
  readonly queue: JobQueue;
  /** How threads reach payloads that do not travel with their jobs; null where all of them do. */
  readonly payloadReaderOptions: PayloadReaderOptions | null;
  readonly backend: InferenceBackend;
  /** What the worker loads when it starts. */
  readonly manifests: readonly ModelManifest[];
  /** How requests choose between versions, by model; told to the gateways. */
  readonly routing?: Readonly<Record<string, ModelRouting>>;
  /** Asked when it starts and can load nothing of a model; then there is nothing where it is absent. */
  readonly findInstead?: FindInstead;
  readonly device: WorkerDevice;
  /** What the device is, such as the name of the processor: run times are kept under it. */
  readonly hardware: string;
  /** Cores of this machine. */
  readonly cores: number;
  /** Runs at a time, of all models together; null lets the worker choose. */
  readonly concurrentRuns: number | null;
  readonly workerId: string;
  readonly host: string;
  readonly pid: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Limits;
  readonly telemetry: WorkerTelemetry;
  /** Undefined where tracing is off. */
  readonly tracing?: Tracing;
  readonly logger: Logger;
  /** SIGKILL to this process: the only way to be rid of a run that does not return. */
  readonly kill: () => void;
  /** Threads that fetch and preprocess; 0 does both on the main thread, for models that need little. */
  readonly preparationThreads: number;
  /**
   * Who fetches and preprocesses: the compute threads, which then run what they prepared without moving it;
   * threads of their own, so that the next batch is prepared while one runs; or whichever suits the device.
   */
  readonly prepareIn: 'auto' | 'compute' | 'threads';
  readonly jpegDecoder: JpegDecoderChoice;
}

/** What serves is given beside: how to be rid of this process. */
export interface ServingDeps extends WorkerDeps {
  /** A run or a preparation did not return within its time: the process has to be replaced. */
  readonly onStuck: (what: string) => void;
}

/** What serving one class needs; one object a lane. */
export interface LaneContext {
  readonly cls: ClassId;
  readonly manifest: ModelManifest;
  /** Most rows the model takes; 1 where it has no batch dimension. */
  readonly rowsMax: number;
  readonly workerId: string;
  readonly queue: JobQueue;
  readonly queueClock: QueueClock;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly logger: Logger;
  readonly telemetry: WorkerTelemetry;
  /** Undefined where tracing is off. */
  readonly tracing?: Tracing;
  /** Null where the slots prepare. */
  readonly preparation: Preparation | null;
  readonly slots: Slots;
  readonly device: DeviceShare;
  readonly leases: Leases;
  readonly settler: Settler;
  readonly batchSize: BatchSize;
  readonly watch: ServiceWatch;
  readonly statistics: StatisticsTally;
  /** What the time from claim to prepared batch is, by rows. */
  readonly prepareDurations: LatencyModel;
  /** Aborted when claims are about to be given back: no more retries. */
  readonly halt: AbortSignal;
}
