/**
 * Steady: does a load below capacity get every answer, soon, without a refusal?
 *
 *   k6 run -e MODEL=iris -e RATE=40 -e DURATION=1m k6/steady.js
 *
 * P95_MS and P99_MS are what the time to an answer must stay below.
 */
import { infer, modelInputs } from './lib/client.js';
import {
  always,
  arrivals,
  durationS,
  model,
  number,
  requestOf,
  summaryTrendStats,
} from './lib/load.js';
import { summarize } from './lib/summary.js';

const rate = number('RATE', 40);
const seconds = durationS('30s');
const p95Ms = number('P95_MS', 500);
const p99Ms = number('P99_MS', 1_000);

export const options = {
  scenarios: { steady: arrivals('steady', rate, seconds) },
  summaryTrendStats,
  thresholds: {
    ...always,
    inferry_good: ['rate>0.999'],
    inferry_refused: ['count==0'],
    inferry_e2e: [`p(95)<${p95Ms}`, `p(99)<${p99Ms}`],
  },
};

export function setup() {
  return requestOf(modelInputs(model));
}

export function steady(request) {
  infer(model, request);
}

export function handleSummary(data) {
  return summarize('steady', { model, rate, seconds, p95Ms, p99Ms }, data);
}
