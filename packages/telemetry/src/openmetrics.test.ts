import { describe, expect, test } from 'vitest';
import { createMetrics, type MetricsFormat } from './metrics.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const labels = { model: 'm', priority: 'normal' } as const;

function metricsIn(format: MetricsFormat): ReturnType<typeof createMetrics<'all'>> {
  const build = { version: '0', revision: '', onnxruntime: 'none' };
  const metrics = createMetrics('all', build, undefined, format);
  metrics.declareModel('m', 'm@1');
  return metrics;
}

function bucketsOf(text: string, name: string): readonly string[] {
  return text.split('\n').filter((line) => line.startsWith(`inferry_${name}_bucket`));
}

describe('OpenMetrics', () => {
  test('ends with its mark, names families without _total and their samples with it, scrape for scrape', async () => {
    const metrics = metricsIn('openmetrics');
    expect(metrics.contentType).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    await metrics.text();
    const text = await metrics.text();
    expect(text.endsWith('\n# EOF\n')).toBe(true);
    expect(text).not.toContain('\n\n');
    expect(text).toContain('# TYPE inferry_jobs_started counter\n');
    expect(text).toContain('\ninferry_jobs_started_total{model="m"} 0\n');
    expect(text).not.toContain('_total_total');
  });

  test('names the last trace of a bucket, in one bucket alone', async () => {
    const metrics = metricsIn('openmetrics');
    metrics.requestDuration.observe(labels, 0.06, 'f'.repeat(32));
    metrics.requestDuration.observe(labels, 0.07, traceId);
    metrics.requestDuration.observe(labels, 0.2);
    const named = bucketsOf(await metrics.text(), 'request_duration_seconds').filter((line) =>
      line.includes('#'),
    );
    expect(named).toHaveLength(1);
    expect(named[0]).toContain('le="0.075"');
    expect(named[0]).toMatch(new RegExp(` 2 # \\{trace_id="${traceId}"\\} 0\\.07 \\d`, 'u'));
  });

  test.each(['', 'no id', 'f'.repeat(33), 'x'.repeat(500)])(
    'counts a value whose trace has no valid id, such as "%s", without it',
    async (wrong) => {
      const metrics = metricsIn('openmetrics');
      metrics.stageDuration.observe({ model: 'm', stage: 'compute' }, 0.2, wrong);
      const text = await metrics.text();
      const count = 'inferry_stage_duration_seconds_count{model="m",stage="compute"} 1\n';
      expect(text).toContain(count);
      expect(text).not.toContain('trace_id');
    },
  );
});

test('the text format names no trace, and no mark ends it', async () => {
  const metrics = metricsIn('prometheus');
  expect(metrics.contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
  metrics.requestDuration.observe(labels, 0.06, traceId);
  const text = await metrics.text();
  expect(text).toContain('# TYPE inferry_jobs_started_total counter\n');
  expect(bucketsOf(text, 'request_duration_seconds').join('')).not.toContain('#');
  expect(text).not.toContain('# EOF');
});
