/** One class on this worker, as those that look after all of them see it. */
import type { ClassId, ModelManifest } from '@inferry/contracts';
import type { StatisticsTally } from '@inferry/queue';
import type { ServingDeps } from './deps.ts';
import type { StepModels } from './composed/step-models.ts';
import type { DeviceShare } from './device-share.ts';
import type { ExclusiveGate } from './exclusive.ts';
import type { IdleTime } from './idle-time.ts';
import type { Leases } from './leases.ts';
import type { Offers } from './offers.ts';
import type { QueueClock } from './queue-clock.ts';
import type { ServiceWatch } from './service-watch.ts';
import type { Settler } from './settle.ts';
import type { StoredProfiles } from './stored-profiles.ts';
import type { Wake } from './wake.ts';

/** From the load of its model until that is closed. Its content never changes: another takes its place. */
export interface ServedClass {
  readonly cls: ClassId;
  readonly manifest: ModelManifest;
  readonly watch: ServiceWatch;
  /**
   * Takes its place among the other classes, or that of `before`, which has stopped and may still have batches
   * under way. Claims nothing yet.
   */
  join(before: ServedClass | null): void;
  /** Claims from now on, also after it has stopped. */
  start(): void;
  /** Claims nothing more. */
  stopClaiming(): void;
  /** Resolves when no claim is under way. */
  stopped(): Promise<void>;
  /** Resolves when it has stopped, and every claimed job was settled, given back or lost. */
  idle(): Promise<void>;
  /** See `Lane.owesSuspect`. */
  readonly owesSuspect: boolean;
  /** A run has not returned. */
  readonly isRunning: boolean;
  /** Gives up its place among the others, if no other class took it; only when it is idle. */
  leave(): void;
  /** Frees all that it holds, but for a run that has not returned; when it is idle, or for ever. Once is enough. */
  close(): Promise<void>;
}

/** What all classes of a worker share. */
export interface SharedParts {
  readonly deps: ServingDeps;
  readonly leases: Leases;
  readonly settler: Settler;
  readonly offers: Offers;
  readonly profiles: StoredProfiles;
  readonly statistics: StatisticsTally;
  readonly queueClock: QueueClock;
  readonly device: DeviceShare;
  readonly idleTime: IdleTime;
  readonly gate: ExclusiveGate;
  readonly wake: Wake;
  /** What steps of composed models may name. */
  readonly stepModels: StepModels;
  /** Aborted when claims are about to be given back: no more retries. */
  readonly halt: AbortSignal;
}
