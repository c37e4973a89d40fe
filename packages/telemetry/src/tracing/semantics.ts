/**
 * The only place that knows what OpenTelemetry calls things: HTTP as in its stable conventions, messaging as
 * in 1.44, where those are still in development and may be renamed.
 *
 * Left out on purpose: whatever a caller can fill without bound (path, query, user agent, host, unknown
 * methods), and tenants.
 */
import type { Attributes } from '@opentelemetry/api';
import type {
  BatchRun,
  ClaimedJob,
  IncomingRequest,
  JobEnd,
  RequestEnd,
  SentJob,
} from './tracing.ts';

const methods: ReadonlySet<string> = new Set(
  'GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT QUERY'.split(' '),
);
const otherMethod = '_OTHER';

export function methodOf({ method }: IncomingRequest): string {
  return methods.has(method) ? method : otherMethod;
}

export function requestName(method: string, route: string | null): string {
  const shown = method === otherMethod ? 'HTTP' : method;
  return route === null ? shown : `${shown} ${route}`;
}

export function requestAttributes(method: string, { route, status, code }: RequestEnd): Attributes {
  return {
    'http.request.method': method,
    'http.response.status_code': status,
    'url.scheme': 'http',
    ...(route === null ? {} : { 'http.route': route }),
    ...(status < 500 ? {} : errorAttributes(code ?? String(status))),
  };
}

export const sendName = (job: SentJob): string => `send ${job.class}`;

export function sendAttributes(job: SentJob, system: string): Attributes {
  return {
    ...messageAttributes(job, system, 'send'),
    'messaging.message.body.size': job.payloadBytes,
  };
}

export const processName = (job: ClaimedJob): string => `process ${job.class}`;

export function processAttributes(job: ClaimedJob, system: string): Attributes {
  return {
    ...messageAttributes(job, system, 'process'),
    'inferry.attempt': job.attempt,
    'inferry.queue_wait_ms': job.queueWaitMs,
    'inferry.release_reason': job.releaseReason,
  };
}

export function processEndAttributes({ outcome, errorType }: JobEnd): Attributes {
  return {
    'inferry.outcome': outcome,
    ...(errorType === null ? {} : errorAttributes(errorType)),
  };
}

export const batchName = (run: BatchRun): string => `batch ${run.model}`;

export function batchAttributes(run: BatchRun, reason: string, system: string): Attributes {
  return {
    'messaging.system': system,
    'messaging.destination.name': run.class,
    'messaging.batch.message_count': run.items,
    'inferry.model': run.model,
    'inferry.rows': run.rows,
    'inferry.release_reason': reason,
    ...(run.errorType === null ? {} : errorAttributes(run.errorType)),
  };
}

export function errorAttributes(type: string): Attributes {
  return { 'error.type': type };
}

function messageAttributes(
  job: SentJob | ClaimedJob,
  system: string,
  operation: 'send' | 'process',
): Attributes {
  return {
    'messaging.system': system,
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
    'messaging.destination.name': job.class,
    'messaging.message.id': job.id,
    'inferry.model': job.model,
    'inferry.priority': job.priority,
    'inferry.rows': job.rows,
  };
}
