/** What every long-running role is given, and what it is once it runs. */
import type { Config } from '../config.ts';
import type { Clock, Random, Result } from '@inferry/runtime';
import type { Logger, Tracing } from '@inferry/telemetry';

export interface RoleDeps {
  readonly logger: Logger;
  /** Undefined where tracing is off. It is closed with the role. */
  readonly tracing?: Tracing;
  readonly clock: Clock;
  readonly random: Random;
  readonly version: string;
  readonly pid: number;
  readonly hostName: string;
  /** `CUDA_VISIBLE_DEVICES`; null where it is not set. */
  readonly visibleGpus: string | null;
  /** Resolves when this process is asked to stop; absent where it cannot be. */
  readonly stopping?: Promise<unknown>;
  /** Calls back when files are to be read again, and returns what stops that; absent where nobody can say so. */
  readonly onReread?: (listener: () => void) => () => void;
  /** Brings models that have changed elsewhere into the directory; absent where the directory is all there is. */
  readonly syncModels?: () => Promise<void>;
  /** Ends this process at once, whatever it is doing. */
  readonly kill: () => void;
  /** Ends this process the way a crash in native code does: what a simulated model may be told to do. */
  readonly abort: () => void;
  /** Writes data for a human to standard output. */
  readonly print: (text: string) => void;
}

interface RunningRole {
  /** Null where the role has no HTTP port. */
  readonly httpPort: number | null;
  /** Null where gRPC is not served. */
  readonly grpcPort: number | null;
  readonly metricsPort: number;
  /** Finishes what was begun and closes everything. Throws when something did not close well. */
  drain(): Promise<void>;
}

/**
 * Resolves when the role is ready for work. The errors are for the operator: a model repository with
 * problems, a model that does not load, an address that is taken. Everything is closed again then.
 */
export type StartRole = (
  config: Config,
  deps: RoleDeps,
) => Promise<Result<RunningRole, readonly string[]>>;
