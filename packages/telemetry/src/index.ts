export { type Catalogue, catalogue, catalogueList, metricPrefix } from './catalogue.ts';
export {
  type AdmissionReason,
  admissionReason,
  admissionReasons,
  type MetricRole,
  type MetricSpec,
  type MovedBy,
  refusalReason,
  type ReleaseReason,
  releaseReasons,
  type Stage,
  stages,
} from './metric-spec.ts';
export { Durations, type DurationSummary } from './durations.ts';
export { parseExposition } from './exposition.ts';
export type { ForeignFamily } from './foreign-families.ts';
export { type GpuMetricsOptions, startGpuMetrics } from './gpu-metrics.ts';
export {
  createLogger,
  type LogFields,
  type Logger,
  type LoggerOptions,
  type LogLevel,
} from './logger.ts';
export {
  type AllMetrics,
  type BuildInfo,
  type CounterOf,
  createMetrics,
  type GatewayMetrics,
  type GaugeOf,
  type HistogramOf,
  type Metrics,
  type MetricsFormat,
  metricsFormats,
  type MetricsRegistry,
  type WorkerMetrics,
} from './metrics.ts';
export {
  type Health,
  type MetricsServer,
  type MetricsServerOptions,
  startMetricsServer,
} from './metrics-server.ts';
export { type RuntimeMetricsOptions, startRuntimeMetrics } from './runtime-metrics.ts';
export { parseServerTiming } from './server-timing.ts';
export { openTracing } from './tracing/open-tracing.ts';
export type { JobSpan, RequestSpan, SendSpan, StageTime, Tracing } from './tracing/tracing.ts';
export { tracingSettings, tracingVariables } from './tracing/tracing-settings.ts';
