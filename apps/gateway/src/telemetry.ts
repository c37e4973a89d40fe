/**
 * What the gateway tells the operators, in its own words; the metrics behind it are those of the
 * catalogue in packages/telemetry. A model's series exist before its first event.
 */
import { classOf, type ErrorCode, errorRegistry, type Priority } from '@inferry/contracts';
import { admissionReason, type GatewayMetrics, refusalReason } from '@inferry/telemetry';

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
  /** The answer was sent so long after the outcome of its job had reached this gateway. */
  delivered(model: string, seconds: number): void;
  /** This gateway ended a live job: at the wish of its owner, or because it shuts down itself. */
  canceled(model: string, priority: Priority, by: 'caller' | 'server'): void;
  /** What a sweep of a class found: jobs that were returned, and the priorities of those that it ended. */
  swept(
    model: string,
    found: {
      readonly returned: number;
      readonly failed: readonly Priority[];
      readonly expired: readonly Priority[];
    },
  ): void;
}

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS']);

export function createGatewayTelemetry(metrics: GatewayMetrics): GatewayTelemetry {
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
      // Only what is the server's doing counts against it.
      const { class: cls } = errorRegistry[code];
      if (cls === 'refused' || cls === 'dependency' || cls === 'bug') {
        metrics.requests.add({ model: label, priority, outcome: 'rejected' });
      }
    },
    held: (change) => metrics.resultWaiters.add({}, change),
    delivered: (model, seconds) => metrics.deliverDuration.observe({ model }, seconds),
    // Who shuts down has not been canceled by its caller: that counts against the server.
    canceled: (model, priority, by) =>
      metrics.requests.add({ model, priority, outcome: by === 'caller' ? 'canceled' : 'rejected' }),
    swept(model, { returned, failed, expired }) {
      const stalled = returned + failed.length;
      if (stalled > 0) metrics.jobsStalled.add({ model }, stalled);
      for (const priority of failed) metrics.requests.add({ model, priority, outcome: 'failed' });
      for (const priority of expired) metrics.requests.add({ model, priority, outcome: 'expired' });
    },
  };
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
