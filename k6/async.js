/**
 * Async: does every job that was accepted end once, as it should, and can it be asked for? Jobs are submitted and
 * polled. Every fifth is canceled at once: it ends as canceled, or as succeeded where its run had begun. Every
 * seventh is submitted twice with one key, and must be one job.
 *
 *   k6 run -e MODEL=iris -e RATE=20 -e DURATION=30s k6/async.js
 *
 * WITHIN_MS is the time in which a job must have ended.
 */
import { check } from 'k6';
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';

import { cancel, followJob, modelInputs, submit } from './lib/client.js';
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
const seconds = durationS('30s');
const withinMs = number('WITHIN_MS', 5_000);
const canceled = new Counter('inferry_canceled');
const replayed = new Counter('inferry_replayed');

export const options = {
  scenarios: { jobs: arrivals('jobs', rate, seconds) },
  summaryTrendStats,
  thresholds: {
    ...always,
    inferry_good: ['rate>0.999'],
    inferry_refused: ['count==0'],
    'inferry_e2e{way:plain}': [`p(95)<${withinMs}`],
    // Both were seen at all.
    inferry_canceled: ['count>0'],
    inferry_replayed: ['count>0'],
  },
};

export function setup() {
  // Keys of another run would replay its jobs.
  return { body: JSON.stringify({ input: requestOf(modelInputs(model)) }), run: Date.now() };
}

export function jobs({ body, run }) {
  const n = exec.scenario.iterationInTest;
  const way = n % 5 === 0 ? 'canceled' : n % 7 === 0 ? 'repeated' : 'plain';
  const tags = { way };
  const key = way === 'repeated' ? `"load-${run}-${n}"` : undefined;
  const job = submit(model, body, { key, tags });
  if (job === undefined) return;
  if (way === 'canceled') cancel(model, job, tags);
  if (way === 'repeated') {
    const again = submit(model, body, { key, tags });
    const isSame = check(again, { 'a repeated key is one job': (j) => j && j.id === job.id }, tags);
    if (isSame) replayed.add(1, tags);
  }
  const ends = way === 'canceled' ? ['canceled', 'succeeded'] : ['succeeded'];
  const isRight = ({ status }) => ends.includes(status);
  const ended = followJob(model, job, { isRight, withinMs, tags });
  if (ended.status === 'canceled') canceled.add(1, tags);
}

export function handleSummary(data) {
  return summarize('async', { model, rate, seconds, withinMs }, data);
}
