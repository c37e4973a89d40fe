/** What all scripts are told in the same words: RATE, DURATION, MODEL, and how arrivals are made of them. */

export const model = __ENV.MODEL || 'iris';

/** A number given as `name`, or `fallback`. Text that is no number ends the run instead of changing the load. */
export function number(name, fallback) {
  const text = __ENV[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0)
    throw new Error(`${name}=${text} must be a number from 0`);
  return value;
}

/** Seconds of DURATION, given as k6 takes it: 90s, 30m, 1h, 1h30m. */
export function durationS(fallback) {
  const text = __ENV.DURATION || fallback;
  const found = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text);
  const [hours, minutes, seconds] = (found || []).slice(1).map((part) => Number(part || 0));
  const total = hours * 3600 + minutes * 60 + seconds;
  if (!(total > 0)) throw new Error(`DURATION=${text} must look like 90s, 30m or 1h30m`);
  return total;
}

/** So many arrivals a second, whatever comes back; each runs `exec`. */
export function arrivals(exec, perSecond, seconds, { startS = 0, tags = {} } = {}) {
  return {
    executor: 'constant-arrival-rate',
    exec,
    startTime: `${startS}s`,
    duration: `${seconds}s`,
    ...pace(perSecond),
    rate: perSecond,
    tags,
  };
}

/** Arrivals whose rate goes in straight lines from the first of `points` to the last: `[seconds, perSecond]`. */
export function ramp(exec, startRate, points, { tags = {} } = {}) {
  return {
    executor: 'ramping-arrival-rate',
    exec,
    startRate,
    stages: points.map(([seconds, target]) => ({ duration: `${seconds}s`, target })),
    ...pace(Math.max(...points.map(([, target]) => target))),
    tags,
  };
}

/**
 * Callers that are there from the start, and at most: a caller is busy until it has its answer. When they do not
 * suffice, arrivals are dropped, and the threshold on those says so.
 */
function pace(perSecond) {
  return {
    timeUnit: '1s',
    preAllocatedVUs: Math.ceil(Math.max(10, perSecond * 3)),
    maxVUs: Math.ceil(Math.max(50, perSecond * 10)),
    gracefulStop: '60s',
  };
}

/** A request of one row of zeros, or empty strings, for what `modelInputs` returned. */
export function requestOf(inputs) {
  return {
    inputs: inputs.map(({ name, datatype, shape }) => {
      const sizes = shape.map((size) => (size < 0 ? 1 : size));
      const count = sizes.reduce((product, size) => product * size, 1);
      const zero = { BYTES: '', BOOL: false }[datatype];
      const data = new Array(count).fill(zero === undefined ? 0 : zero);
      return { name, datatype, shape: sizes, data };
    }),
  };
}

/** What must hold in every run: right answers, and every arrival sent. */
export const always = {
  checks: ['rate==1'],
  http_req_failed: ['rate==0'],
  // An arrival that was dropped was never sent: the run would have measured k6 itself.
  dropped_iterations: ['count==0'],
};

export const summaryTrendStats = ['avg', 'min', 'med', 'p(90)', 'p(95)', 'p(99)', 'max', 'count'];
