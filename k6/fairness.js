/**
 * Fairness: does a tenant that floods a model hurt one that asks a little? Both have a budget: the model refuses
 * what would be late. The tenants must be known to the gateway: INFERRY_TENANTS=quiet,noisy.
 *
 *   k6 run -e MODEL=... -e QUIET_RATE=4 -e NOISY_RATE=80 -e DURATION=1m k6/fairness.js
 *
 * The flood begins after a fifth of DURATION. WITHIN_MS is how long the quiet tenant can wait.
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

const quietRate = number('QUIET_RATE', 4);
const noisyRate = number('NOISY_RATE', 80);
const seconds = durationS('30s');
const calmS = Math.max(1, Math.round(seconds / 5));
const withinMs = number('WITHIN_MS', 3_000);

export const options = {
  scenarios: {
    quiet: arrivals('quiet', quietRate, seconds),
    noisy: arrivals('noisy', noisyRate, seconds - calmS, { startS: calmS }),
  },
  summaryTrendStats,
  thresholds: {
    ...always,
    'inferry_good{tenant:quiet}': ['rate>0.98'],
    'inferry_e2e{tenant:quiet}': [`p(95)<${withinMs}`],
    // Of the flood, part is refused and part is served: neither tenant is shut out.
    'inferry_refused{tenant:noisy}': ['count>0'],
    'inferry_accepted{tenant:noisy}': ['count>0'],
  },
};

export function setup() {
  return requestOf(modelInputs(model));
}

export function quiet(request) {
  infer(model, request, { withinMs, tags: { tenant: 'quiet' } });
}

export function noisy(request) {
  infer(model, request, { withinMs, tags: { tenant: 'noisy' } });
}

export function handleSummary(data) {
  return summarize('fairness', { model, quietRate, noisyRate, seconds, withinMs }, data);
}
