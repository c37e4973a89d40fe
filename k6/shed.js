/**
 * Shed: with two to three times the load that it can carry, is the rest refused at once, and is what was accepted
 * answered in time? The model must have a budget (`admission` in its model.yaml), told here as BUDGET_MS.
 *
 *   k6 run -e MODEL=... -e RATE=80 -e BUDGET_MS=1500 -e DURATION=30s k6/shed.js
 *
 * SLACK_MS is added to the budget for the way, and for a machine that has other things to do. REFUSAL_MS is what
 * a refusal must stay below, ACCEPTED_MIN how many a second must be accepted: refusing everything is not it.
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

const rate = number('RATE', 80);
const seconds = durationS('30s');
const budgetMs = number('BUDGET_MS', 1_500);
const slackMs = number('SLACK_MS', 1_000);
const refusalMs = number('REFUSAL_MS', 750);
const acceptedMin = number('ACCEPTED_MIN', 16);

export const options = {
  scenarios: { overload: arrivals('overload', rate, seconds) },
  summaryTrendStats,
  thresholds: {
    ...always,
    inferry_refused: ['count>0'],
    inferry_refusal: [`p(95)<${refusalMs}`],
    inferry_in_time: ['rate>0.95'],
    inferry_accepted: [`count>${Math.floor(acceptedMin * seconds)}`],
  },
};

export function setup() {
  return requestOf(modelInputs(model));
}

export function overload(request) {
  infer(model, request, { withinMs: budgetMs + slackMs });
}

export function handleSummary(data) {
  const limits = { budgetMs, slackMs, refusalMs, acceptedMin };
  return summarize('shed', { model, rate, seconds, ...limits }, data);
}
