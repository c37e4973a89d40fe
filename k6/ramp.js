/**
 * Ramp: does it keep up while the load grows from next to nothing to RATE, stays, and goes again? A third of
 * DURATION each.
 *
 *   k6 run -e MODEL=iris -e RATE=80 -e DURATION=3m k6/ramp.js
 *
 * P95_MS is what the time to an answer must stay below in each part.
 */
import exec from 'k6/execution';

import { infer, modelInputs } from './lib/client.js';
import {
  always,
  durationS,
  model,
  number,
  ramp,
  requestOf,
  summaryTrendStats,
} from './lib/load.js';
import { summarize } from './lib/summary.js';

const rate = number('RATE', 80);
const partS = Math.max(1, Math.round(durationS('60s') / 3));
const p95Ms = number('P95_MS', 1_000);
const parts = ['up', 'top', 'down'];

export const options = {
  scenarios: {
    ramp: ramp('climb', 1, [
      [partS, rate],
      [partS, rate],
      [partS, 0],
    ]),
  },
  summaryTrendStats,
  thresholds: {
    ...always,
    inferry_good: ['rate>0.999'],
    inferry_refused: ['count==0'],
    ...Object.fromEntries(parts.map((part) => [`inferry_e2e{part:${part}}`, [`p(95)<${p95Ms}`]])),
  },
};

export function setup() {
  return requestOf(modelInputs(model));
}

export function climb(request) {
  const passedS = (Date.now() - exec.scenario.startTime) / 1_000;
  const part = parts[Math.min(parts.length - 1, Math.floor(passedS / partS))];
  infer(model, request, { tags: { part } });
}

export function handleSummary(data) {
  return summarize('ramp', { model, rate, seconds: partS * 3, p95Ms }, data);
}
