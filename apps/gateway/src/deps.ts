/** What a gateway is made of. Everything that a test replaces or a deployment chooses comes in here. */
import type { Limits } from '@inferry/contracts';
import type { ModelCatalogue } from '@inferry/models';
import type { Compat } from '@inferry/protocols';
import type { JobQueue, StatisticsTally } from '@inferry/queue';
import type { Clock, Random } from '@inferry/runtime';
import type { Logger, Tracing } from '@inferry/telemetry';

import type { Load } from './admission/admit.ts';
import type { AnswerTime } from './admission/answer-time.ts';
import type { OpenRequests } from './exchange.ts';
import type { FirstResponses } from './first-responses.ts';
import type { BodyMemory } from './http/body-memory.ts';
import type { ArrivingBytes } from './http/read-body.ts';
import type { ControlSettings, ModelControl } from './model-control.ts';
import type { QueueLooks } from './queue-looks.ts';
import type { HeldRequests } from './results/held-requests.ts';
import type { ResponseCache } from './response-cache.ts';
import type { StreamPlaces } from './streaming/stream-places.ts';
import type { GatewayTelemetry } from './telemetry.ts';

export interface GatewayDeps {
  readonly queue: JobQueue;
  /** At the same queue and catalogue. */
  readonly looks: QueueLooks;
  readonly catalogue: ModelCatalogue;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Limits;
  readonly telemetry: GatewayTelemetry;
  readonly log: Logger;
  /** Undefined where tracing is off. */
  readonly tracing?: Tracing;
  /** Names this process to the workers, so that outcomes find their way back. */
  readonly gatewayId: string;
  readonly version: string;
  /** Weights of the tenants by name; undefined where all requests stand in one line. */
  readonly tenants?: ReadonlyMap<string, number>;
  /** Whether v2 answers problems with Triton's statuses; `none` when undefined. */
  readonly compat?: Compat;
  /** Whether models are loaded and unloaded on request; they are not when undefined. */
  readonly modelControl?: ControlSettings;
  /** Reads the local repository again, after an order to load; undefined where it never changes. */
  readonly rereadModels?: () => Promise<unknown>;
  /** For answers of models that are kept; none are when undefined. */
  readonly cacheBytesMax?: number;
  /** Of the same catalogue; undefined where nobody is told of them. */
  readonly firstResponses?: FirstResponses;
  /** Start of absolute URLs in bodies, without a slash at its end; paths only when undefined. */
  readonly publicBaseUrl?: string;
}

/** The dependencies with the state that the requests of one gateway share. */
export interface GatewayParts extends GatewayDeps {
  readonly arriving: ArrivingBytes;
  readonly bodyMemory: BodyMemory;
  readonly held: HeldRequests;
  readonly streams: StreamPlaces;
  readonly open: OpenRequests;
  readonly load: Load;
  readonly control: ModelControl;
  readonly answerTime: AnswerTime;
  readonly cache: ResponseCache;
  /** Jobs that this gateway ended, for the statistics of their classes. */
  readonly statistics: StatisticsTally;
}
