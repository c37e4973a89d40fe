/**
 * Soak: is it after half an hour as it was at the start? A steady load for DURATION, of which every tenth request
 * is a job. The latency of the last third is judged apart from that of the first. `npm run load -- soak` also
 * looks at the memory of every process.
 *
 *   k6 run -e MODEL=iris -e RATE=20 -e DURATION=30m k6/soak.js
 */
import exec from 'k6/execution';

import { followJob, infer, modelInputs, submit } from './lib/client.js';
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

const rate = number('RATE', 20);
const seconds = durationS('30m');
const p95Ms = number('P95_MS', 500);
const parts = ['first', 'second', 'last'];

export const options = {
  scenarios: { soak: arrivals('soak', rate, seconds) },
  summaryTrendStats,
  thresholds: {
    ...always,
    inferry_good: ['rate>0.999'],
    inferry_refused: ['count==0'],
    'inferry_e2e{part:first}': [`p(95)<${p95Ms}`],
    'inferry_e2e{part:last}': [`p(95)<${p95Ms}`],
  },
};

export function setup() {
  return requestOf(modelInputs(model));
}

export function soak(request) {
  const passedS = (Date.now() - exec.scenario.startTime) / 1_000;
  const tags = { part: parts[Math.min(2, Math.floor((passedS / seconds) * 3))] };
  if (exec.scenario.iterationInTest % 10 !== 0) return infer(model, request, { tags });
  const job = submit(model, JSON.stringify({ input: request }), { tags });
  if (job === undefined) return undefined;
  return followJob(model, job, { isRight: ({ status }) => status === 'succeeded', tags });
}

export function handleSummary(data) {
  return summarize('soak', { model, rate, seconds, p95Ms }, data);
}
