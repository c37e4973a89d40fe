/**
 * Spike: is a burst far above capacity absorbed by the queue, with nothing refused and nothing lost, and is it
 * over when it is over? RATE arrivals a second all along, BURST_RATE for BURST_S seconds on top, from a quarter of
 * DURATION on; the last quarter must be as quick as ever.
 *
 *   k6 run -e MODEL=iris -e RATE=10 -e BURST_RATE=100 -e BURST_S=3 -e DURATION=40s k6/spike.js
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

const rate = number('RATE', 10);
const burstRate = number('BURST_RATE', 100);
const burstS = number('BURST_S', 3);
const quarterS = Math.max(1, Math.round(durationS('40s') / 4));
const p95Ms = number('P95_MS', 1_000);

export const options = {
  scenarios: {
    before: arrivals('ask', rate, quarterS, { tags: { part: 'before' } }),
    during: arrivals('ask', rate, quarterS * 2, { startS: quarterS, tags: { part: 'during' } }),
    burst: arrivals('ask', burstRate, burstS, { startS: quarterS, tags: { part: 'burst' } }),
    after: arrivals('ask', rate, quarterS, { startS: quarterS * 3, tags: { part: 'after' } }),
  },
  summaryTrendStats,
  thresholds: {
    ...always,
    inferry_good: ['rate>0.999'],
    inferry_refused: ['count==0'],
    'inferry_e2e{part:before}': [`p(95)<${p95Ms}`],
    // What was to be absorbed: a burst that needs no queue proves nothing.
    'inferry_e2e{part:burst}': ['max>1000'],
    'inferry_e2e{part:after}': [`p(95)<${p95Ms}`],
  },
};

export function setup() {
  return requestOf(modelInputs(model));
}

export function ask(request) {
  infer(model, request);
}

export function handleSummary(data) {
  const seconds = quarterS * 4;
  return summarize('spike', { model, rate, burstRate, burstS, seconds, p95Ms }, data);
}
