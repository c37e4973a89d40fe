/** The flags of `inferry scale-advice` and `inferry autoscale`, for the table of commands; options.ts reads them. */

const max = {
  flag: 'max',
  placeholder: 'N',
} as const;

const shared = [
  {
    flag: 'drain-target',
    placeholder: 'TIME',
    help: 'Workers are wanted until they would be through with what waits in this time. Less than a worker takes to start helps nobody. Times are in seconds, or like 500ms, 10s, 2m. Default: 30.',
  },
  {
    flag: 'utilization',
    placeholder: 'SHARE',
    help: 'How busy workers are meant to be with what arrives, 0.1 to 1. Default: 0.7.',
  },
] as const;

export const scaleAdviceFlags = [
  {
    flag: 'redis-url',
    placeholder: 'URL',
    help: 'The queue to look at, twice. Default: REDIS_URL.',
  },
  {
    flag: 'redis-prefix',
    placeholder: 'PREFIX',
    help: 'First part of every Redis key. Default: INFERRY_REDIS_PREFIX, or inferry.',
  },
  {
    flag: 'prometheus',
    placeholder: 'URL',
    help: 'Reads the series that the shipped rules record instead of the queue: the numbers a cluster scales by.',
  },
  {
    flag: 'models',
    placeholder: 'DIR',
    help: 'The model repository of the workers. Default: INFERRY_MODELS; without it, all that live workers serve (or that has series).',
  },
  {
    flag: 'only',
    placeholder: 'NAME,NAME',
    help: 'The models of the workers. Default: INFERRY_ONLY, or all.',
  },
  { flag: 'min', placeholder: 'N', help: 'Fewest workers. Default: 0.' },
  { ...max, help: 'Most workers. Default: 10.' },
  ...shared,
  {
    flag: 'window',
    placeholder: 'TIME',
    help: 'Between the two looks: what arrives meanwhile is the load. Default: 10.',
  },
  { flag: 'json', placeholder: null, help: 'One JSON document on stdout instead of the number.' },
] as const;

export const autoscaleFlags = [
  { flag: 'min', placeholder: 'N', help: 'Fewest workers, started at once. Default: 0.' },
  {
    ...max,
    help: 'Most workers, those that drain included. Required: only you know what the machine holds.',
  },
  ...shared,
  {
    flag: 'window',
    placeholder: 'TIME',
    help: 'The load is what arrived in this time. Default: 60.',
  },
  {
    flag: 'stabilization',
    placeholder: 'TIME',
    help: 'Workers are drained down to the most that were wanted in this time. Default: 300.',
  },
  {
    flag: 'cooldown',
    placeholder: 'TIME',
    help: 'The last worker is drained when nothing waited, ran or arrived for this time. Default: 600.',
  },
] as const;
