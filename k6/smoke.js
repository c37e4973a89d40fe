/**
 * Smoke: both demo models under a small, steady, open load. Ends with a non-zero status when an answer
 * was wrong, late or missing; OUT names a file for its figures as JSON.
 *
 *   k6 run k6/smoke.js
 *   k6 run -e BASE_URL=http://127.0.0.1:8000 -e RATE=20 -e DURATION=30s -e OUT=smoke.json k6/smoke.js
 *
 * RATE counts arrivals a second for iris; digits gets half of it.
 */
import encoding from 'k6/encoding';

import { infer, inputName, submitAndPoll } from './lib/client.js';

const rate = Number(__ENV.RATE || 20);
const duration = __ENV.DURATION || '10s';

/** A picture of 8 by 8 pixels: the stroke of a 1, light on dark. */
const digit = encoding.b64decode(
  'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAJ0lEQVR42mNgYGBgUAplAAPj/x1gWuk/lHHmLpTBwICbYfx/JgMDAPFCDmoBCQUdAAAAAElFTkSuQmCC',
);

export const options = {
  scenarios: { iris: arrivals('iris', rate), digits: arrivals('digits', Math.ceil(rate / 2)) },
  summaryTrendStats: ['avg', 'min', 'med', 'p(90)', 'p(95)', 'p(99)', 'max', 'count'],
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    // An arrival that was dropped was never sent: the run would have measured k6 itself.
    dropped_iterations: ['count==0'],
    'inferry_good{model:iris}': ['rate>0.999'],
    'inferry_good{model:digits}': ['rate>0.999'],
    'inferry_e2e{model:iris}': ['p(95)<250', 'p(99)<500'],
    'inferry_e2e{model:digits}': ['p(95)<500', 'p(99)<1000'],
    inferry_refused: ['count==0'],
  },
};

function arrivals(exec, perSecond) {
  return {
    executor: 'constant-arrival-rate',
    exec,
    rate: perSecond,
    timeUnit: '1s',
    duration,
    preAllocatedVUs: perSecond * 2,
    maxVUs: perSecond * 10,
    gracefulStop: '30s',
    tags: { model: exec },
  };
}

export function setup() {
  return { irisInput: inputName('iris') };
}

export function iris({ irisInput }) {
  const tensor = { name: irisInput, shape: [1, 4], datatype: 'FP32', data: [5.1, 3.5, 1.4, 0.2] };
  infer('iris', { inputs: [tensor] }, (answer) => answer.outputs.length > 0);
}

export function digits() {
  submitAndPoll('digits', digit, 'image/png', (output) => /^[0-9]$/.test(output.label));
}

export function handleSummary(data) {
  const failed = [];
  for (const [name, metric] of Object.entries(data.metrics)) {
    for (const [threshold, { ok }] of Object.entries(metric.thresholds || {})) {
      if (!ok) failed.push(`${name}: ${threshold}`);
    }
  }
  const summary = { schema: 1, script: 'smoke', rate, duration, failed, metrics: data.metrics };
  const lines = ['inferry_e2e{model:iris}', 'inferry_e2e{model:digits}', 'http_reqs', 'checks'].map(
    (name) => `${name} ${JSON.stringify(data.metrics[name] ? data.metrics[name].values : null)}`,
  );
  const verdict = failed.length === 0 ? 'all thresholds held' : `FAILED ${failed.join('; ')}`;
  const outputs = { stdout: `${lines.join('\n')}\n${verdict}\n` };
  if (__ENV.OUT) outputs[__ENV.OUT] = JSON.stringify(summary, null, 1);
  return outputs;
}
