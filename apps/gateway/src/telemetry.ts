/**
 * What the gateway tells the operators, in its own words; the metrics behind it are those of the
 * catalogue in packages/telemetry. A model's series exist before its first event.
 */
import {
  type ClassId,
  classOf,
  type ErrorCode,
  errorRegistry,
  partsOf,
  type Priority,
  type TerminalStatus,
} from '@inferry/contracts';
import { admissionReason, type GatewayMetrics, refusalReason } from '@inferry/telemetry';

interface EndedJob {
  readonly priority: Priority;
  readonly status: TerminalStatus;
}

export interface GatewayTelemetry {
  requestOpened(): void;
  /** `route` is the pattern, `unmatched` where there is none. */
  requestClosed(request: {
    readonly method: string;
    readonly route: string;
    readonly status: number;
    readonly seconds: number;
  }): void;
  accepted(model: string, version: string, payloadBytes: number): void;
  rejected(request: {
    /** Undefined while it is not known, or when nobody knows it. */
    readonly model: { readonly name: string; readonly version: string } | undefined;
    /** `normal` where it is refused before anything told another. */
    readonly priority: Priority;
    readonly code: ErrorCode;
    /** Since its headers were read. */
    readonly seconds: number;
  }): void;
  held(change: 1 | -1): void;
  /** An event stream was opened or is over. */
  streaming(change: 1 | -1): void;
  /** A partial output was read for a caller. */
  partialDelivered(model: string): void;
  /** Whether the answer to a request was kept, where answers of its model are. */
  cacheLooked(model: string, result: 'hit' | 'miss'): void;
  cacheHolds(bytes: number): void;
  /** The answer was sent so long after the outcome of its job had reached this gateway. */
  delivered(model: string, seconds: number): void;
  /** This gateway ended a live job: at the wish of its owner, or because it shuts down itself. */
  canceled(cls: ClassId, priority: Priority, by: 'caller' | 'server'): void;
  /** Jobs of lost workers were found. */
  stalled(model: string, jobs: number): void;
  /** A sweep or a look ended these jobs, and no worker. */
  swept(cls: ClassId, jobs: readonly EndedJob[]): void;
}

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS']);

export function createGatewayTelemetry(metrics: GatewayMetrics): GatewayTelemetry {
  const ended = (
    queue: ClassId,
    priority: Priority,
    outcome: TerminalStatus | 'rejected',
  ): void => {
    metrics.requests.add({ model: partsOf(queue).model, priority, outcome });
    metrics.versionRequests.add({ queue, outcome });
  };
  return {
    requestOpened: () => metrics.httpRequestsInFlight.add({}, 1),
    requestClosed({ method, route, status, seconds }) {
      metrics.httpRequestsInFlight.add({}, -1);
      const known = methods.has(method) ? method : 'OTHER';
      metrics.httpRequestDuration.observe({ method: known, route, code: String(status) }, seconds);
    },
    accepted(model, version, payloadBytes) {
      metrics.declareModel(model, classOf(model, version));
      metrics.admission.add({ model, decision: 'accepted', reason: 'none' });
      metrics.requestPayload.observe({ model }, payloadBytes);
    },
    rejected({ model, priority, code, seconds }) {
      if (model !== undefined) {
        metrics.declareModel(model.name, classOf(model.name, model.version));
      }
      const label = model?.name ?? 'unknown';
      const reason = admissionReason(code);
      metrics.admission.add({ model: label, decision: 'rejected', reason });
      const loadReason = refusalReason(code);
      if (loadReason !== undefined)
        metrics.refusalDuration.observe({ reason: loadReason }, seconds);
      if (isServersDoing(code)) {
        metrics.requests.add({ model: label, priority, outcome: 'rejected' });
        if (model !== undefined) {
          const queue = classOf(model.name, model.version);
          metrics.versionRequests.add({ queue, outcome: 'rejected' });
        }
      }
    },
    held: (change) => metrics.resultWaiters.add({}, change),
    streaming: (change) => metrics.eventStreams.add({}, change),
    partialDelivered: (model) => metrics.partialOutputs.add({ model }),
    cacheLooked: (model, result) => metrics.responseCacheRequests.add({ model, result }),
    cacheHolds: (bytes) => metrics.responseCacheBytes.set({}, bytes),
    delivered: (model, seconds) => metrics.deliverDuration.observe({ model }, seconds),
    // Who shuts down has not been canceled by its caller: that counts against the server.
    canceled: (cls, priority, by) =>
      ended(cls, priority, by === 'caller' ? 'canceled' : 'rejected'),
    stalled: (model, jobs) => metrics.jobsStalled.add({ model }, jobs),
    swept(cls, jobs) {
      for (const { priority, status } of jobs) ended(cls, priority, status);
    },
  };
}

/** Only that counts against the server. Of a request that is repeated while it is being accepted, the first counts. */
function isServersDoing(code: ErrorCode): boolean {
  const { class: cls } = errorRegistry[code];
  const isDoing = cls === 'refused' || cls === 'dependency' || cls === 'bug';
  return isDoing && code !== 'idempotency_in_progress';
}

/** A bug that keeps work from being accepted is told to `onBug` before it goes on its way. */
export async function orBug<T>(work: Promise<T>, onBug: () => void): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    onBug();
    throw cause;
  }
}
