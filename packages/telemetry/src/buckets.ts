/**
 * Upper bounds of the histograms, in the unit of the metric. Where an objective may be set on a
 * latency (`endToEnd`), no bound below 2.5 is a whole number: Prometheus 2 and 3 print those
 * differently, and a rule that names one would match in only one of them. A quantile beyond the last bound
 * is told as that bound: jobs that nobody holds open may wait for minutes until a worker was started.
 */
export const buckets = {
  stage: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120, 1_800],
  endToEnd: [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 0.75, 1.5, 2.5, 5, 10, 30, 120, 1_800],
  run: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120],
  http: [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  roundTrip: [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5],
  lag: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
  load: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300],
  size: [1, 2, 4, 8, 16, 32, 64, 128, 256],
  bytes: [1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864],
  distance: [1, 2, 5, 10, 50, 100, 500],
  promise: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  /** Of what was to what was to be, around 1. */
  bound: [0.1, 0.25, 0.5, 0.75, 0.9, 1, 1.1, 1.5, 2, 5],
  ratio: [0.25, 0.5, 0.75, 0.9, 1, 1.1, 1.25, 1.5, 2, 3],
} as const;
