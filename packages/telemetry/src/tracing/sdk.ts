/** The SDK of OpenTelemetry, put together: sampler, exporter, bounded queue. Loaded only where tracing is on. */
import { sleep } from '@inferry/runtime';
import {
  type Attributes,
  type Context,
  diag,
  DiagLogLevel,
  type Link,
  type SpanKind,
} from '@opentelemetry/api';
import { ExportResultCode, setGlobalErrorHandler } from '@opentelemetry/core';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  type SamplingResult,
  type SpanExporter,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import type { Logger } from '../logger.ts';
import type { TracingOptions } from './open-tracing.ts';
import { Spans } from './spans.ts';
import type { Tracing } from './tracing.ts';
import type { TracingSettings } from './tracing-settings.ts';

/** What is not sent by then is lost: a collector that is away must not hold up the end of a process. */
const closeMsMax = 2_000;
const sdkMessagesMax = 20;

export async function startTracing(
  settings: TracingSettings,
  options: TracingOptions,
): Promise<Tracing> {
  const { clock, instanceId, logger, role, system, version } = options;
  hearSdk(logger);
  const exporter = options.exporter ?? (await openExporter(settings));
  const own = {
    'service.name': `inferry-${role}`,
    'service.version': version,
    'service.instance.id': instanceId,
  };
  const provider = new BasicTracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes(own))
      .merge(detectResources({ detectors: [envDetector] })),
    sampler: new LinkSampler(samplerOf(settings)),
    // Its queue is bounded (2,048 unless set); what does not fit is dropped, and nobody waits.
    spanProcessors: [new BatchSpanProcessor(watched(exporter, settings.host, logger))],
  });
  const close = async (): Promise<void> => {
    const hasClosed = new AbortController();
    const closing = provider.shutdown().then(nothing, nothing);
    void closing.then(() => hasClosed.abort());
    await Promise.race([closing, sleep(clock, closeMsMax, hasClosed.signal)]);
  };
  return new Spans({ tracer: provider.getTracer('inferry', version), system, close });
}

async function openExporter({ protocol }: TracingSettings): Promise<SpanExporter> {
  if (protocol === 'http/json') {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
    return new OTLPTraceExporter();
  }
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter();
}

/** What the SDK has to complain of, each kind once: variables it cannot read, spans for which there is no room. */
function hearSdk(logger: Logger): void {
  const told = new Set<string>();
  const tell = (message: string): void => {
    const kind = message.replaceAll(/\d+/gu, '');
    if (told.has(kind) || told.size >= sdkMessagesMax) return;
    told.add(kind);
    logger.warn({ reason: message }, 'OpenTelemetry');
  };
  const log = { error: tell, warn: tell, info: nothing, debug: nothing, verbose: nothing };
  diag.setLogger(log, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  // Of these only failed exports are left, which are told where they happen.
  setGlobalErrorHandler(nothing);
}

/** Says that spans cannot be sent once, and when they can again; the SDK would say nothing, or everything. */
function watched(exporter: SpanExporter, host: string, logger: Logger): SpanExporter {
  let isAway = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const hasFailed = result.code !== ExportResultCode.SUCCESS;
        if (hasFailed && !isAway) {
          const reason = result.error?.message ?? 'unknown';
          logger.warn({ host, reason }, 'spans cannot be sent and are dropped');
        } else if (!hasFailed && isAway) {
          logger.info({ host }, 'spans are sent again');
        }
        isAway = hasFailed;
        done(result);
      });
    },
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  };
}

function samplerOf({ sampler, ratio }: TracingSettings): Sampler {
  switch (sampler) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio);
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  }
}

/** A span that links to recorded ones is recorded with them; it would be decided by its own id otherwise. */
class LinkSampler implements Sampler {
  readonly #others: Sampler;

  constructor(others: Sampler) {
    this.#others = others;
  }

  shouldSample(
    context: Context,
    traceId: string,
    name: string,
    kind: SpanKind,
    attributes: Attributes,
    links: Link[],
  ): SamplingResult {
    if (links.length > 0) return { decision: SamplingDecision.RECORD_AND_SAMPLED };
    return this.#others.shouldSample(context, traceId, name, kind, attributes, links);
  }

  toString(): string {
    return `LinkSampler{${this.#others.toString()}}`;
  }
}

function nothing(): void {}
