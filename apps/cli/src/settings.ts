/**
 * Every setting of the long-running roles: its environment variable, its flag, what it accepts, its
 * default and what it does. The parser, the help texts and the test of `.env.example` all read this
 * table, so that a setting cannot exist in one of them alone.
 * tidy-allow: one table.
 */
import { availableParallelism } from 'node:os';
import { defaultLimits } from '@inferry/contracts';
import type { Result } from '@inferry/runtime';
import { metricsFormats } from '@inferry/telemetry';
import {
  baseUrl,
  device,
  hostAddress,
  integer,
  matching,
  modelNames,
  modelRepository,
  oneOf,
  portOrOff,
  redisUrl,
  zeroOrOne,
} from './setting-parsers.ts';
import { tenantWeights } from './tenants.ts';

export type Role = 'serve' | 'gateway' | 'worker';

/** A setting whose text becomes a `T`; the error says what would have been accepted. */
export interface Setting<T> {
  readonly env: string;
  /** Without the dashes. */
  readonly flag: string;
  readonly roles: readonly Role[];
  /** Stands for the value in help texts. */
  readonly placeholder: string;
  readonly help: string;
  /** The text that counts when none is given; null: the setting is then null. */
  readonly fallback: string | null;
  /** The default in words, where it depends on the machine. */
  readonly fallbackWords?: string;
  readonly parse: (text: string) => Result<T, string>;
}

const everyRole: readonly Role[] = ['serve', 'gateway', 'worker'];
const withGateway: readonly Role[] = ['serve', 'gateway'];
const withWorker: readonly Role[] = ['serve', 'worker'];

const mebibyte = 1024 * 1024;
const hourMs = 3_600_000;
const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

export const settings = {
  host: {
    env: 'HOST',
    flag: 'host',
    roles: everyRole,
    placeholder: 'ADDRESS',
    help: 'Address that all ports listen on; 0.0.0.0 for every interface.',
    fallback: '127.0.0.1',
    parse: hostAddress,
  },
  port: {
    env: 'PORT',
    flag: 'port',
    roles: withGateway,
    placeholder: 'PORT',
    help: 'HTTP port; 0 picks a free one and prints it.',
    fallback: '8000',
    parse: integer(0, 65_535),
  },
  grpcPort: {
    env: 'GRPC_PORT',
    flag: 'grpc-port',
    roles: withGateway,
    placeholder: 'PORT|off',
    help: 'Port of the gRPC inference service (Open Inference Protocol v2); 0 picks a free one and prints it, off serves HTTP alone.',
    fallback: '8001',
    parse: portOrOff,
  },
  metricsPort: {
    env: 'METRICS_PORT',
    flag: 'metrics-port',
    roles: everyRole,
    placeholder: 'PORT',
    help: 'Port of /metrics, /livez and /readyz for operators; 0 picks a free one and prints it.',
    fallback: '9464',
    parse: integer(0, 65_535),
  },
  metricsFormat: {
    env: 'INFERRY_METRICS_FORMAT',
    flag: 'metrics-format',
    roles: everyRole,
    placeholder: 'FORMAT',
    help: 'What /metrics is written in: prometheus (the text format 0.0.4) or openmetrics, which names traces where there are any.',
    fallback: 'prometheus',
    parse: oneOf(metricsFormats),
  },
  tritonMetrics: {
    env: 'INFERRY_TRITON_METRICS',
    flag: 'triton-metrics',
    roles: withGateway,
    placeholder: '0|1',
    help: "1 adds Triton's names of metrics (nv_inference_*) to /metrics, for dashboards and alerts that were made for them.",
    fallback: '0',
    parse: zeroOrOne,
  },
  redisUrl: {
    env: 'REDIS_URL',
    flag: 'redis-url',
    roles: everyRole,
    placeholder: 'URL',
    help: 'Redis that holds the queue, redis://, rediss:// or unix:///path/to/redis.sock. serve without it queues in memory.',
    fallback: null,
    parse: redisUrl,
  },
  redisPrefix: {
    env: 'INFERRY_REDIS_PREFIX',
    flag: 'redis-prefix',
    roles: everyRole,
    placeholder: 'PREFIX',
    help: 'First part of every Redis key; processes that share a queue share it.',
    fallback: 'inferry',
    parse: matching(/^[A-Za-z0-9_-]{1,32}$/u, '1 to 32 letters, digits, - or _'),
  },
  models: {
    env: 'INFERRY_MODELS',
    flag: 'models',
    roles: everyRole,
    placeholder: 'DIR',
    help: 'The model repository: a directory, or s3://bucket/folder. `inferry serve` also takes it as its argument.',
    fallback: null,
    parse: modelRepository,
  },
  modelsCache: {
    env: 'INFERRY_MODELS_CACHE',
    flag: 'models-cache',
    roles: everyRole,
    placeholder: 'DIR',
    help: 'Where models are kept that come from s3://; processes of one machine may share it.',
    fallback: null,
    fallbackWords: '.cache/inferry/models in the home directory',
    parse: matching(/./u, 'a directory'),
  },
  modelsSyncMs: {
    env: 'INFERRY_MODELS_SYNC_MS',
    flag: 'models-sync-ms',
    roles: everyRole,
    placeholder: 'MS',
    help: 'How often s3:// is looked at for models that have changed. 0: only SIGHUP and load orders make a process look.',
    fallback: '30000',
    parse: integer(0, hourMs),
  },
  modelsPollMs: {
    env: 'INFERRY_MODELS_POLL_MS',
    flag: 'models-poll-ms',
    roles: everyRole,
    placeholder: 'MS',
    help: 'How often the files of the model repository are looked at; a change that two looks saw is read and served. 0: only SIGHUP and load orders make a process read again.',
    fallback: '2000',
    parse: integer(0, hourMs),
  },
  only: {
    env: 'INFERRY_ONLY',
    flag: 'only',
    roles: withWorker,
    placeholder: 'NAME,NAME',
    help: 'Load and serve these models alone. Default: all of the repository.',
    fallback: null,
    parse: modelNames,
  },
  device: {
    env: 'INFERRY_DEVICE',
    flag: 'device',
    roles: withWorker,
    placeholder: 'DEVICE',
    help: 'The one device of this process: cpu, or cuda:N, which runs the cuda and tensorrt instances of models (tensorrt:N names the same device).',
    fallback: 'cpu',
    parse: device,
  },
  gpuMetrics: {
    env: 'INFERRY_GPU_METRICS',
    flag: 'gpu-metrics',
    roles: withWorker,
    placeholder: 'auto|off',
    help: 'auto: a worker on a GPU asks nvidia-smi for its memory and utilization every 10 s; off where something else tells them, such as the exporter of DCGM.',
    fallback: 'auto',
    parse: oneOf(['auto', 'off']),
  },
  prepareIn: {
    env: 'INFERRY_PREPARE_IN',
    flag: 'prepare-in',
    roles: withWorker,
    placeholder: 'WHERE',
    help: 'Where inputs are fetched and decoded: compute (the threads that run the model), threads (of their own), or auto: compute on a CPU whose cores the instances of the models keep busy.',
    fallback: 'auto',
    parse: oneOf(['auto', 'compute', 'threads']),
  },
  jpegDecoder: {
    env: 'INFERRY_JPEG_DECODER',
    flag: 'jpeg-decoder',
    roles: withWorker,
    placeholder: 'NAME',
    help: 'What decodes JPEG: turbojpeg (libjpeg-turbo of the system), sharp, or auto: turbojpeg where it is installed.',
    fallback: 'auto',
    parse: oneOf(['auto', 'turbojpeg', 'sharp']),
  },
  preparationThreads: {
    env: 'INFERRY_PREPARATION_THREADS',
    flag: 'preparation-threads',
    roles: withWorker,
    placeholder: 'N',
    help: 'Threads of their own that fetch and decode inputs.',
    fallback: String(availableParallelism()),
    fallbackWords: 'the number of cores',
    parse: integer(1, 256),
  },
  concurrentRuns: {
    env: 'INFERRY_CONCURRENT_RUNS',
    flag: 'concurrent-runs',
    roles: withWorker,
    placeholder: 'N',
    help: 'Most runs at a time, of all models together; models with work share them by run time.',
    fallback: null,
    fallbackWords:
      'the number of cores, or of instances of one model if larger; on a GPU the latter',
    parse: integer(1, 1_024),
  },
  compat: {
    env: 'INFERRY_COMPAT',
    flag: 'compat',
    roles: withGateway,
    placeholder: 'none|triton',
    help: "triton: /v2 answers over HTTP with Triton's statuses, 503 where others say 429 or 504, and 400 for what is not ready.",
    fallback: 'none',
    parse: oneOf(['none', 'triton']),
  },
  modelControl: {
    env: 'INFERRY_MODEL_CONTROL',
    flag: 'model-control',
    roles: withGateway,
    placeholder: 'auto|on|off',
    help: 'Whether callers may load and unload models (/v2/repository/models/NAME/load). auto: where HOST is a loopback address.',
    fallback: 'auto',
    parse: oneOf(['auto', 'on', 'off']),
  },
  modelLoadMs: {
    env: 'INFERRY_MODEL_LOAD_MS',
    flag: 'model-load-ms',
    roles: withGateway,
    placeholder: 'MS',
    help: 'Longest time such a request waits until every worker has carried it out.',
    fallback: '300000',
    parse: integer(1_000, hourMs),
  },
  maxBodyBytes: {
    env: 'INFERRY_MAX_BODY_BYTES',
    flag: 'max-body-bytes',
    roles: withGateway,
    placeholder: 'BYTES',
    help: 'Largest request body that is accepted.',
    fallback: String(defaultLimits.bodyBytesMax),
    parse: integer(1024, 1024 * mebibyte),
  },
  maxWaitMs: {
    env: 'INFERRY_MAX_WAIT_MS',
    flag: 'max-wait-ms',
    roles: withGateway,
    placeholder: 'MS',
    help: 'Longest time a request is held for its answer (Prefer: wait, ?wait=).',
    fallback: String(defaultLimits.waitMsMax),
    parse: integer(1_000, hourMs),
  },
  queueDepth: {
    env: 'INFERRY_QUEUE_DEPTH',
    flag: 'queue-depth',
    roles: withGateway,
    placeholder: 'JOBS',
    help: 'Most jobs that may wait for one model version; a model may set less.',
    fallback: String(defaultLimits.queueDepthPerClassMax),
    parse: integer(1, 10_000_000),
  },
  queueBytes: {
    env: 'INFERRY_QUEUE_BYTES',
    flag: 'queue-bytes',
    roles: withGateway,
    placeholder: 'BYTES',
    help: 'Most input bytes that may wait for one model version.',
    fallback: String(defaultLimits.queueBytesPerClassMax),
    parse: integer(mebibyte, 1024 * 1024 * mebibyte),
  },
  tenants: {
    env: 'INFERRY_TENANTS',
    flag: 'tenants',
    roles: withGateway,
    placeholder: 'NAME:WEIGHT,...',
    help: 'Tenants that share each model by weight (1 to 100, default 1), as requests name them in Inferry-Tenant; requests that name none are of "default". Unset: one line for all.',
    fallback: null,
    parse: tenantWeights,
  },
  tenantQueueDepth: {
    env: 'INFERRY_TENANT_QUEUE_DEPTH',
    flag: 'tenant-queue-depth',
    roles: withGateway,
    placeholder: 'JOBS',
    help: 'Most jobs of one tenant that may wait for one model version, where there are tenants.',
    fallback: String(defaultLimits.queueDepthPerTenantMax),
    parse: integer(1, 10_000_000),
  },
  targetWaitMs: {
    env: 'INFERRY_TARGET_WAIT_MS',
    flag: 'target-wait-ms',
    roles: withGateway,
    placeholder: 'MS',
    help: 'Wait that jobs of a model without a budget are meant to stay below, for alerts; nothing is refused for it.',
    fallback: String(defaultLimits.targetWaitMs),
    parse: integer(1, defaultLimits.deadlineMsMax),
  },
  retentionMs: {
    env: 'INFERRY_RETENTION_MS',
    flag: 'retention-ms',
    roles: withGateway,
    placeholder: 'MS',
    help: 'How long the result of a job can be read after it ended.',
    fallback: String(defaultLimits.retentionMsAsync),
    parse: integer(1_000, defaultLimits.retentionMsMax),
  },
  responseCacheBytes: {
    env: 'INFERRY_RESPONSE_CACHE_BYTES',
    flag: 'response-cache-bytes',
    roles: withGateway,
    placeholder: 'BYTES',
    help: 'Memory for answers that are given again to requests with the same input, of models that say response_cache; 0 keeps none.',
    fallback: String(64 * mebibyte),
    parse: integer(0, 64 * 1024 * mebibyte),
  },
  publicBaseUrl: {
    env: 'INFERRY_PUBLIC_BASE_URL',
    flag: 'public-base-url',
    roles: withGateway,
    placeholder: 'URL',
    help: 'Address callers use, for links in answers. Default: links are relative.',
    fallback: null,
    parse: baseUrl,
  },
  leaseMs: {
    env: 'INFERRY_LEASE_MS',
    flag: 'lease-ms',
    roles: everyRole,
    placeholder: 'MS',
    help: 'A worker silent for this long counts as lost. The same in all processes of a queue.',
    fallback: String(defaultLimits.leaseMs),
    parse: integer(500, 10 * 60_000),
  },
  drainMs: {
    env: 'INFERRY_DRAIN_MS',
    flag: 'drain-ms',
    roles: everyRole,
    placeholder: 'MS',
    help: 'Time to finish what was begun after SIGTERM or Ctrl-C.',
    fallback: String(defaultLimits.drainMs),
    parse: integer(0, hourMs),
  },
  logLevel: {
    env: 'INFERRY_LOG_LEVEL',
    flag: 'log-level',
    roles: everyRole,
    placeholder: 'LEVEL',
    help: `Least severe log line written to stderr: ${logLevels.join(', ')}.`,
    fallback: 'info',
    parse: oneOf(logLevels),
  },
  supervise: {
    env: 'INFERRY_SUPERVISE',
    flag: 'supervise',
    roles: everyRole,
    placeholder: '0|1',
    help: '0 runs without the parent process that restarts the role when it crashes.',
    fallback: '1',
    parse: zeroOrOne,
  },
} as const satisfies Record<string, Setting<unknown>>;

export type SettingName = keyof typeof settings;

/** What a setting's parser makes of its text; null where it has no default and none was given. */
export type SettingValue<Name extends SettingName> =
  | ((typeof settings)[Name]['parse'] extends (text: string) => Result<infer T, string> ? T : never)
  | (null extends (typeof settings)[Name]['fallback'] ? null : never);

/** The settings that a role takes, in the order of the table. */
export function settingsOf(role: Role): readonly Setting<unknown>[] {
  const all: readonly Setting<unknown>[] = Object.values(settings);
  return all.filter((setting) => setting.roles.includes(role));
}
