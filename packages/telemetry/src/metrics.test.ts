import { errorRegistry } from '@inferry/contracts';
import { VirtualClock } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import { catalogue, catalogueList } from './catalogue.ts';
import { parseExposition } from './exposition.ts';
import { admissionReason, type MetricSpec, refusalReason, refusalReasons } from './metric-spec.ts';
import { createMetrics, type MetricsRegistry } from './metrics.ts';

const build = { version: '1.2.3', revision: 'abc', onnxruntime: 'none' };

async function samples(metrics: MetricsRegistry): Promise<ReadonlyMap<string, number>> {
  return parseExposition(await metrics.text());
}

function bucket(le: string): string {
  return `inferry_stage_duration_seconds_bucket{le="${le}",model="m",stage="compute"}`;
}

describe('the catalogue', () => {
  const specs = catalogueList();

  test('names every metric once, with the suffix its type and unit ask for', () => {
    expect(new Set(specs.map((spec) => spec.name)).size).toBe(specs.length);
    for (const { name, type } of specs) {
      expect(name).toMatch(/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/u);
      expect(name.endsWith('_total'), name).toBe(type === 'counter');
      expect(name).not.toMatch(/_(ms|us|millis|milliseconds|kb|mb)(_|$)/u);
    }
  });

  test('gives every metric a help text that is a sentence and stays on a line', () => {
    // OpenMetrics wants quotes escaped in it, which the library does not do.
    for (const { help, name } of specs) expect(help, name).toMatch(/^[^\n"\\]{10,}\.$/u);
  });

  test('gives ascending bounds to histograms and to nothing else', () => {
    for (const { buckets, name, type } of specs) {
      expect(buckets.length > 0, name).toBe(type === 'histogram');
      expect([...buckets], name).toEqual([...buckets].toSorted((a, b) => a - b));
    }
  });

  test('bounds every label by a list or by what is loaded', () => {
    for (const { labels, name } of specs) {
      for (const [label, values] of Object.entries(labels)) {
        expect(label, name).not.toMatch(/^(job|tenant|user|path|url|host|instance|le)$/u);
        if (Array.isArray(values)) expect(new Set(values).size).toBe(values.length);
      }
    }
  });

  test('keeps whole numbers below 2.5 out of the bounds an objective is set on', () => {
    const risky = catalogue.requestDuration.buckets.filter((b) => b < 2.5 && Number.isInteger(b));
    expect(risky).toEqual([]);
  });
});

describe('a registry', () => {
  test.each(['gateway', 'worker', 'all'] as const)(
    'of role %s exports the catalogue of that role and nothing else of ours',
    async (role) => {
      const text = await createMetrics(role, build).text();
      const typed = [...text.matchAll(/^# TYPE (inferry_\S+) (\S+)$/gmu)].map(
        (m) => `${m[1]} ${m[2]}`,
      );
      const expected = catalogueList()
        .filter((spec) => role === 'all' || spec.roles.some((name) => name === role))
        .map((spec) => `${spec.fullName} ${spec.type}`);
      expect(typed.toSorted()).toEqual(expected.toSorted());
      expect(text).toContain('# TYPE process_cpu_seconds_total counter');
    },
  );

  test('has the series of a declared model at 0 before anything happens', async () => {
    const metrics = createMetrics('all', build);
    metrics.declareModel('iris', 'iris@1');
    const found = await samples(metrics);
    expect(found.get('inferry_requests_total{model="iris",priority="low",outcome="failed"}')).toBe(
      0,
    );
    expect(found.get('inferry_batch_releases_total{model="iris",reason="deadline"}')).toBe(0);
    expect(found.get('inferry_queue_arrived_rows_total{queue="iris@1"}')).toBe(0);
    // Known once the queue was looked at.
    expect(found.has('inferry_queue_jobs{queue="iris@1",state="waiting"}')).toBe(false);
    const stage = 'inferry_stage_duration_seconds_count{model="iris",stage="queue_wait"}';
    expect(found.get(stage)).toBe(0);
    expect(found.get('inferry_worker_state{state="warming"}')).toBe(0);
    const accepted = [...found.keys()].filter((key) => key.includes('decision="accepted"'));
    expect(accepted).toEqual([
      'inferry_admission_total{model="iris",decision="accepted",reason="none"}',
    ]);
  });

  test('keeps what was observed when a second version of a model is declared', async () => {
    const metrics = createMetrics('all', build);
    metrics.declareModel('iris', 'iris@1');
    metrics.batchSize.observe({ model: 'iris' }, 3);
    metrics.declareModel('iris', 'iris@2');
    metrics.declareModel('iris', 'iris@1');
    const found = await samples(metrics);
    expect(found.get('inferry_batch_size_count{model="iris"}')).toBe(1);
    expect(found.get('inferry_queue_arrived_rows_total{queue="iris@2"}')).toBe(0);
  });

  test('forgets a class with all that was counted of it, and begins anew when it is declared again', async () => {
    const metrics = createMetrics('all', build);
    metrics.declareModel('iris', 'iris@1');
    metrics.declareModel('iris', 'iris@2');
    for (const queue of ['iris@1', 'iris@2']) {
      metrics.versionRequests.add({ queue, outcome: 'succeeded' }, 3);
      metrics.queueWorkers.set({ queue }, 1);
    }
    metrics.forgetQueue('iris@1');
    const left = [...(await samples(metrics)).keys()].filter((key) => key.includes('queue="'));
    expect(left.filter((key) => key.includes('iris@1'))).toEqual([]);
    expect(left).toContain('inferry_queue_workers{queue="iris@2"}');
    metrics.declareModel('iris', 'iris@1');
    const series = 'inferry_version_requests_total{queue="iris@1",outcome="succeeded"}';
    expect((await samples(metrics)).get(series)).toBe(0);
  });

  test('counts, sets and observes in the unit of the name', async () => {
    const metrics = createMetrics('all', build);
    metrics.jobsStarted.add({ model: 'm' });
    metrics.jobsStarted.add({ model: 'm' }, 4);
    metrics.workerJobsInFlight.set({ model: 'm' }, 7);
    metrics.workerJobsInFlight.add({ model: 'm' }, -2);
    metrics.stageDuration.observe({ model: 'm', stage: 'compute' }, 0.003);
    const found = await samples(metrics);
    expect(found.get('inferry_jobs_started_total{model="m"}')).toBe(5);
    expect(found.get('inferry_worker_jobs_in_flight{model="m"}')).toBe(5);
    expect([found.get(bucket('0.0025')), found.get(bucket('0.005'))]).toEqual([0, 1]);
  });

  test('tells which build it is', async () => {
    const found = await samples(createMetrics('worker', build));
    const labels = `version="1.2.3",revision="abc",onnxruntime="none",node="${process.version}"`;
    expect(found.get(`inferry_build_info{${labels}}`)).toBe(1);
  });

  // Of the first scrape; what opens later (routes, codes, versions) comes to some dozens.
  test.each([
    ['worker', 2, 850],
    ['worker', 4, 1_600],
    ['worker', 8, 3_100],
    ['gateway', 4, 550],
    ['gateway', 8, 900],
    ['all', 4, 1_950],
  ] as const)('of role %s with %i models stays within %i series', async (role, models, budget) => {
    const metrics = createMetrics(role, build);
    for (let i = 0; i < models; i += 1) metrics.declareModel(`model-${i}`, `model-${i}@1`);
    expect((await samples(metrics)).size).toBeLessThan(budget);
  });
});

describe('collectors', () => {
  test('run before each exposition', async () => {
    const metrics = createMetrics('gateway', build);
    let depth = 0;
    metrics.onCollect(async () => {
      depth += 1;
      metrics.queueJobs.set({ queue: 'm@1', state: 'waiting' }, depth);
    });
    const key = 'inferry_queue_jobs{queue="m@1",state="waiting"}';
    expect((await samples(metrics)).get(key)).toBe(1);
    expect((await samples(metrics)).get(key)).toBe(2);
  });

  test('that throw or reject are counted and leave the scrape whole', async () => {
    const metrics = createMetrics('gateway', build);
    metrics.onCollect(() => {
      throw new Error('a bug');
    });
    metrics.onCollect(() => Promise.reject(new Error('queue away')));
    metrics.onCollect(() => metrics.resultWaiters.set({}, 3));
    const found = await samples(metrics);
    expect(found.get('inferry_queue_collect_errors_total')).toBe(2);
    expect(found.get('inferry_result_waiters')).toBe(3);
  });

  test('that hang are given up after a second', async () => {
    const clock = new VirtualClock();
    const metrics = createMetrics('gateway', build, clock);
    metrics.onCollect(() => new Promise(() => undefined));
    const text = metrics.text();
    await clock.advance(1_000);
    const found = parseExposition(await text);
    expect(found.get('inferry_queue_collect_errors_total')).toBe(1);
    expect(found.get('inferry_queue_collect_duration_seconds')).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  test('run once for scrapes at the same moment', async () => {
    const metrics = createMetrics('gateway', build);
    let runs = 0;
    metrics.onCollect(async () => {
      runs += 1;
    });
    await Promise.all([metrics.text(), metrics.text()]);
    expect(runs).toBe(1);
  });
});

test('a refusal is labelled by its code where the code is about load, else by "other"', () => {
  expect(admissionReason('queue_full')).toBe('queue_full');
  expect(admissionReason('malformed_json')).toBe('other');
});

test('the reasons of a refusal for load are the codes of the class "refused"', () => {
  const codes = Object.entries(errorRegistry).filter(([, spec]) => spec.class === 'refused');
  expect([...refusalReasons].toSorted()).toEqual(codes.map(([code]) => code).toSorted());
  expect(refusalReason('quota_exceeded')).toBe('quota_exceeded');
  expect(refusalReason('malformed_json')).toBeUndefined();
});

test('a specification has no field the facade ignores', () => {
  const fields = new Set(Object.values(catalogue).flatMap((spec: MetricSpec) => Object.keys(spec)));
  const known = ['name', 'type', 'help', 'labels', 'buckets', 'roles', 'movedBy'];
  expect([...fields].toSorted()).toEqual(known.toSorted());
});
