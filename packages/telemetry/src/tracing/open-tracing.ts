/** Turns tracing on where the environment asks for it. Until then no code of OpenTelemetry is loaded. */
import { type Clock, ok, type Result } from '@inferry/runtime';
import type { SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Logger } from '../logger.ts';
import type { Tracing } from './tracing.ts';
import { tracingSettings } from './tracing-settings.ts';

export interface TracingOptions {
  /** The environment of this process: the SDK reads what it needs of it by itself. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** gateway, worker or serve; `service.name` is `inferry-<role>` unless it is set. */
  readonly role: string;
  readonly version: string;
  /** Tells this process from others: `service.instance.id`. */
  readonly instanceId: string;
  /** `messaging.system`: what holds the queue. */
  readonly system: 'bullmq' | 'memory';
  readonly clock: Clock;
  readonly logger: Logger;
  /** Takes the spans instead of the endpoint. */
  readonly exporter?: SpanExporter;
}

/** Undefined where tracing is off. The error names the variable that cannot be read, and what it may be. */
export async function openTracing(
  options: TracingOptions,
): Promise<Result<Tracing | undefined, string>> {
  const settings = tracingSettings(options.env);
  if (!settings.ok) return settings;
  if (settings.value === undefined) return ok(undefined);
  const { host, protocol, sampler, ratio } = settings.value;
  const { startTracing } = await import('./sdk.ts');
  const tracing = await startTracing(settings.value, options);
  options.logger.info({ host, protocol, sampler, ratio }, 'requests are traced');
  return ok(tracing);
}
