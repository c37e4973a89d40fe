/** Values that the chart must refuse, and what it must say: each case is laid over values that it takes. */

const scaled = { enabled: true };
const prometheus = { url: 'http://prometheus:9090' };
const gpu = { limits: { 'nvidia.com/gpu': 1 } };

function group(fields, rest = {}) {
  return { workerGroups: [{ name: 'a', ...fields }], prometheus, ...rest };
}

export const accepted = { redis: { url: 'redis://redis:6379' } };

/** `says` is part of the message. */
export const refusals = [
  {
    name: "a port for operators that is the gateway's",
    values: { metrics: { port: 8000 } },
    says: 'metrics.port 8000 is a port of the gateway',
  },
  {
    name: 'a port of the service that is that of gRPC',
    values: { gateway: { service: { port: 8001 } } },
    says: 'gateway.service.port 8001 is the port of gRPC',
  },
  {
    name: 'scrapes that may take longer than there is between them',
    values: { metrics: { podMonitor: { interval: '2s' } } },
    says: 'interval',
  },
  {
    name: 'no Redis',
    values: { redis: { url: '' } },
    says: 'exactly one of redis.url, redis.existingSecret.name and redis.bundled.enabled; none is set',
  },
  {
    name: 'two Redis',
    values: { redis: { bundled: { enabled: true } } },
    says: 'redis.url and redis.bundled.enabled are set',
  },
  {
    name: 'a Redis URL of another kind',
    values: { redis: { url: 'http://x' } },
    says: '/redis/url',
  },
  { name: 'a value with a typing error', values: { gatway: {} }, says: "'gatway' not allowed" },
  {
    name: 'a value of a group with a typing error',
    values: group({ autoscaling: { enabled: true, maximum: 3 } }),
    says: "'maximum' not allowed",
  },
  {
    name: 'the tag latest',
    values: { images: { worker: { tag: 'latest' } } },
    says: '/images/worker/tag',
  },
  {
    name: 'autoscaling without Prometheus',
    values: { workerGroups: [{ name: 'a', autoscaling: scaled }] },
    says: 'workerGroups "a": autoscaling needs prometheus.url',
  },
  {
    name: 'fewest above most',
    values: group({ autoscaling: { ...scaled, min: 5, max: 4 } }),
    says: 'autoscaling.min 5 is greater than autoscaling.max 4',
  },
  {
    name: 'a fallback above most',
    values: group({ autoscaling: { ...scaled, max: 1 } }),
    says: 'autoscaling.fallback.replicas 2 is greater than autoscaling.max 1',
  },
  {
    name: 'replicas and autoscaling',
    values: group({ replicas: 3, autoscaling: scaled }),
    says: 'replicas and autoscaling.enabled exclude each other',
  },
  {
    name: 'waking from zero without versions',
    values: group({ models: [{ name: 'iris' }], autoscaling: { ...scaled, min: 0 } }),
    says: "model iris needs versions, e.g. versions: ['1']",
  },
  {
    name: 'waking from zero without models',
    values: group({ autoscaling: { ...scaled, min: 0 } }),
    says: 'autoscaling.min 0 needs models with their versions',
  },
  {
    name: 'waking from zero without an address of Redis',
    values: group(
      { models: [{ name: 'iris', versions: ['1'] }], autoscaling: { ...scaled, min: 0 } },
      { redis: { url: '', existingSecret: { name: 'mine' } } },
    ),
    says: 'needs redis.address (host:port)',
  },
  {
    name: 'waking from zero with an encoded password',
    values: group(
      { models: [{ name: 'iris', versions: ['1'] }], autoscaling: { ...scaled, min: 0 } },
      { redis: { url: 'redis://:a%40b@redis:6379' } },
    ),
    says: 'KEDA cannot read a redis.url with %-encoded user or password',
  },
  {
    name: 'a model in two scaled groups',
    values: {
      prometheus,
      workerGroups: ['a', 'b'].map((name) => ({
        name,
        models: [{ name: 'iris' }],
        autoscaling: scaled,
      })),
    },
    says: 'model iris is in workerGroups "a" too, and both are scaled',
  },
  {
    name: 'all models in one of two scaled groups',
    values: {
      prometheus,
      workerGroups: [
        { name: 'a', autoscaling: scaled },
        { name: 'b', models: [{ name: 'iris' }], autoscaling: scaled },
      ],
    },
    says: 'workerGroups "a" is scaled by all models',
  },
  {
    name: 'a GPU for a group on CPUs',
    values: group({ resources: gpu }),
    says: 'resources.limits asks for a GPU, but device is cpu',
  },
  {
    name: 'a group on GPUs without one',
    values: group({ device: 'cuda' }),
    says: 'device cuda needs exactly one GPU in resources.limits',
  },
  {
    name: 'two GPUs for a worker',
    values: group({ device: 'cuda', resources: { limits: { 'nvidia.com/gpu': 2 } } }),
    says: 'not 2',
  },
  { name: 'another device', values: group({ device: 'tpu' }), says: '/workerGroups/0/device' },
  {
    name: 'a rollout that cannot begin',
    values: group({ strategy: { maxSurge: 0, maxUnavailable: 0 } }),
    says: 'no rollout could begin',
  },
  {
    name: 'a budget of disruptions that forbids all',
    values: group({ pdb: { maxUnavailable: 0 } }),
    says: '/workerGroups/0/pdb/maxUnavailable',
  },
  {
    name: 'two groups of one name',
    values: { workerGroups: [{ name: 'a' }, { name: 'a' }] },
    says: 'the name is taken by two groups',
  },
  {
    name: 'a name that is too long',
    values: { fullnameOverride: 'x'.repeat(50), workerGroups: [{ name: 'a'.repeat(20) }] },
    says: 'has 78 characters, at most 63 are allowed',
  },
  {
    name: 'a long name of all',
    values: { fullnameOverride: 'x'.repeat(60) },
    says: 'set a shorter fullnameOverride',
  },
  {
    name: 'a setting that the chart makes',
    values: { settings: { INFERRY_DRAIN_MS: '1' } },
    says: 'settings.INFERRY_DRAIN_MS: the chart sets this variable itself',
  },
  {
    name: 'a variable that the chart makes',
    values: group({ extraEnv: [{ name: 'INFERRY_ONLY', value: 'iris' }] }),
    says: 'extraEnv: INFERRY_ONLY is set by the chart',
  },
  {
    name: 'a setting of another program',
    values: { settings: { PATH: '/' } },
    says: "'PATH' does not match pattern",
  },
  {
    name: 'a claim without a name',
    values: { modelStore: { pvc: { claimName: '' } } },
    says: 'modelStore: type pvc needs pvc.claimName',
  },
  {
    name: 'an empty folder that nobody fills',
    values: group({ modelStore: { type: 'emptyDir' } }),
    says: 'workerGroups "a": modelStore: type emptyDir needs emptyDir.initContainers',
  },
  {
    name: 'a bucket without its name',
    values: { modelStore: { type: 's3' } },
    says: 'modelStore: type s3 needs s3.location',
  },
  {
    name: 'a bucket that nobody may reach',
    values: group({ modelStore: { type: 's3', s3: { location: 's3://models' } } }),
    says: 'workerGroups "a": modelStore: type s3 needs networkPolicy.allowHttps',
  },
  {
    name: 'a key among the settings, which all can read',
    values: { settings: { AWS_SECRET_ACCESS_KEY: 'x' } },
    says: "'AWS_SECRET_ACCESS_KEY' does not match pattern",
  },
  {
    name: 'a folder of nodes without a path',
    values: { modelStore: { type: 'hostPath' } },
    says: 'type hostPath needs hostPath.path',
  },
  {
    name: 'an Ingress without hosts',
    values: { gateway: { ingress: { enabled: true } } },
    says: 'gateway.ingress.hosts is empty',
  },
  {
    name: 'a route without a Gateway',
    values: { gateway: { httpRoute: { enabled: true } } },
    says: 'gateway.httpRoute.parentRefs is empty',
  },
  {
    name: 'gateways: fewest above most',
    values: { gateway: { hpa: { enabled: true, min: 9, max: 3 } } },
    says: 'gateway.hpa.min 9 is greater than gateway.hpa.max 3',
  },
  {
    name: 'matchers that are no PromQL',
    values: { prometheus: { matchers: 'namespace=prod' } },
    says: '/prometheus/matchers',
  },
];
