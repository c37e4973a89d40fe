/** A real Prometheus reads what is written in OpenMetrics: the same series as in the text format, and exemplars. */
import { createMetrics, type MetricsServer, startMetricsServer } from '@inferry/telemetry';
import { waitFor } from '@inferry/testkit';
import { afterEach, expect, test } from 'vitest';
import { type PrometheusServer, startPrometheus } from './prometheus.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const build = { version: '0', revision: '', onnxruntime: 'none' };

let server: MetricsServer | undefined;
let prometheus: PrometheusServer | undefined;
afterEach(async () => {
  await prometheus?.[Symbol.asyncDispose]();
  await server?.close();
});

test('every sample of a scrape in OpenMetrics is taken under the name of the catalogue, with its trace', async () => {
  const metrics = createMetrics('all', build, undefined, 'openmetrics');
  metrics.declareModel('iris', 'iris@1');
  metrics.jobsStarted.add({ model: 'iris' }, 3);
  metrics.requestDuration.observe({ model: 'iris', priority: 'high' }, 0.06, traceId);
  const health = { livez: () => true, readyz: () => ({ ready: true }) };
  server = await startMetricsServer({ host: '127.0.0.1', port: 0, metrics, health });
  const started = await startPrometheus({ 'inferry-worker': [`127.0.0.1:${server.port}`] });
  prometheus = started;

  const value = async (expression: string): Promise<number | undefined> =>
    (await started.query(expression))[0]?.value;
  await waitFor(async () => (await value('inferry_jobs_started_total{model="iris"}')) === 3, {
    timeoutMs: 30_000,
    what: 'a scrape',
  });
  expect(await value('up')).toBe(1);
  expect(await value('count({__name__="inferry_jobs_started"})')).toBeUndefined();
  const samples = (await metrics.text()).split('\n').filter((line) => /^[a-z]/u.test(line));
  // Kinds of garbage collection may have come since.
  expect(await value('scrape_samples_scraped')).toBeGreaterThan(samples.length - 50);

  const range = { start: '0', end: String(Date.now() / 1_000 + 60) };
  const asked = new URLSearchParams({ ...range, query: 'inferry_request_duration_seconds_bucket' });
  const response = await fetch(`${started.url}/api/v1/query_exemplars?${asked.toString()}`);
  expect(await response.json()).toMatchObject({
    status: 'success',
    data: [
      {
        seriesLabels: { le: '0.075', model: 'iris', priority: 'high' },
        exemplars: [{ labels: { trace_id: traceId }, value: '0.06' }],
      },
    ],
  });
});
