/**
 * Smoke: does everything work at all? Both demo models under a small, steady, open load, one by the inference
 * protocol, one by jobs. Ends with a non-zero status when an answer was wrong, late or missing.
 *
 *   k6 run -e RATE=20 -e DURATION=30s -e OUT=smoke.json k6/smoke.js
 *
 * RATE counts arrivals a second for iris; digits gets half of it.
 */
import encoding from 'k6/encoding';

import { followJob, infer, modelInputs, submit } from './lib/client.js';
import { always, arrivals, durationS, number, summaryTrendStats } from './lib/load.js';
import { summarize } from './lib/summary.js';

const rate = number('RATE', 20);
const seconds = durationS('10s');

/** A picture of 8 by 8 pixels: the stroke of a 1, light on dark. */
const digit = encoding.b64decode(
  'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAJ0lEQVR42mNgYGBgUAplAAPj/x1gWuk/lHHmLpTBwICbYfx/JgMDAPFCDmoBCQUdAAAAAElFTkSuQmCC',
);

export const options = {
  scenarios: {
    iris: arrivals('iris', rate, seconds),
    digits: arrivals('digits', Math.ceil(rate / 2), seconds),
  },
  summaryTrendStats,
  thresholds: {
    ...always,
    'inferry_good{model:iris}': ['rate>0.999'],
    'inferry_good{model:digits}': ['rate>0.999'],
    'inferry_e2e{model:iris}': ['p(95)<1000', 'p(99)<2000'],
    'inferry_e2e{model:digits}': ['p(95)<1000', 'p(99)<2000'],
    inferry_refused: ['count==0'],
  },
};

export function setup() {
  return { irisInput: modelInputs('iris')[0].name };
}

export function iris({ irisInput }) {
  const tensor = { name: irisInput, shape: [1, 4], datatype: 'FP32', data: [5.1, 3.5, 1.4, 0.2] };
  infer('iris', { inputs: [tensor] });
}

export function digits() {
  const job = submit('digits', digit, { mediaType: 'image/png' });
  if (job === undefined) return;
  followJob('digits', job, {
    isRight: ({ status, output }) => status === 'succeeded' && /^[0-9]$/.test(output.label),
  });
}

export function handleSummary(data) {
  return summarize('smoke', { rate, seconds }, data);
}
