import { err, ok } from '@inferry/runtime';
import { expect, test } from 'vitest';
import type { HttpPort, HttpRequest } from '../bench/http.ts';
import { readPrometheus } from './read-prometheus.ts';

const backlogSeries = 'queue:inferry_queue_backlog_work_seconds:max';
const loadSeries = 'queue:inferry_offered_load_workers:rate2m';

const url = new URL('http://prom:9090/base/');
const everything = { classes: null, only: null };

function vector(values: Readonly<Record<string, string>>): string {
  const result = Object.entries(values).map(([queue, value]) => ({
    metric: { queue },
    value: [1, value],
  }));
  return JSON.stringify({ status: 'success', data: { resultType: 'vector', result } });
}

/** Answers each query with what stands for its series. */
function prometheus(answers: Readonly<Record<string, string>>) {
  const requests: HttpRequest[] = [];
  const http: HttpPort = {
    send: (request) => {
      requests.push(request);
      const query = new URL(request.path, request.origin).searchParams.get('query') ?? '';
      const body = Buffer.from(answers[query] ?? '');
      return Promise.resolve(ok({ status: 200, header: () => undefined, body }));
    },
    close: () => Promise.resolve(),
  };
  return { http, requests };
}

const both = {
  [backlogSeries]: vector({ 'iris@1': '24', 'digits@2': '0' }),
  [loadSeries]: vector({ 'iris@1': '2.25', 'digits@2': '0.5' }),
};

const ofTwo = JSON.stringify({
  data: {
    result: [
      { metric: { queue: 'iris@1', namespace: 'busy' }, value: [1, '600'] },
      { metric: { queue: 'iris@1', namespace: 'idle' }, value: [1, '0'] },
    ],
  },
});

test('both series of all queues are read, below the path of the URL', async () => {
  const { http, requests } = prometheus(both);
  expect(await readPrometheus(url, everything, http)).toEqual({
    ok: true,
    value: [
      { queue: 'digits@2', backlogSeconds: 0, loadWorkers: 0.5 },
      { queue: 'iris@1', backlogSeconds: 24, loadWorkers: 2.25 },
    ],
  });
  expect(requests[0]?.origin).toBe('http://prom:9090');
  expect(requests[0]?.path).toMatch(/^\/base\/api\/v1\/query\?query=/u);
});

test('a group is some of the models, or classes that have to be there', async () => {
  const { http } = prometheus(both);
  const iris = { queue: 'iris@1', backlogSeconds: 24, loadWorkers: 2.25 };
  const only = await readPrometheus(url, { classes: null, only: ['iris'] }, http);
  expect(only).toEqual({ ok: true, value: [iris] });
  const classes = await readPrometheus(url, { classes: ['iris@1'], only: null }, http);
  expect(classes).toEqual({ ok: true, value: [iris] });
});

test.each([
  [
    'no series at all',
    everything,
    { [backlogSeries]: vector({}) },
    'has no series queue:inferry_queue_backlog_work_seconds:max now',
  ],
  [
    'no load yet',
    everything,
    { ...both, [loadSeries]: vector({}) },
    'has no series queue:inferry_offered_load_workers:rate2m now',
  ],
  [
    'the load of another queue alone',
    everything,
    { ...both, [loadSeries]: vector({ 'iris@1': '1' }) },
    'of the queue digits@2 now',
  ],
  [
    'a model without a queue',
    { classes: null, only: ['iris', 'resnet'] },
    both,
    'has no queue of the model "resnet"',
  ],
  [
    'a class without a series',
    { classes: ['iris@9'], only: null },
    both,
    'of the queue iris@9 now',
  ],
  [
    'no number',
    everything,
    { ...both, [backlogSeries]: vector({ 'iris@1': 'NaN' }) },
    'has the value NaN for the queue iris@1',
  ],
  [
    'less than nothing',
    everything,
    { ...both, [backlogSeries]: vector({ 'iris@1': '-1' }) },
    'has the value -1 for the queue iris@1',
  ],
  [
    'a sample that is none',
    everything,
    { ...both, [backlogSeries]: '{"data":{"result":[null]}}' },
    'has the value undefined for the queue undefined',
  ],
  [
    'a queue of two installations',
    everything,
    { ...both, [backlogSeries]: ofTwo },
    'has several series of the queue iris@1',
  ],
  [
    'a refusal',
    everything,
    { [backlogSeries]: '{"status":"error","error":"query timed out"}' },
    'answers 200, and says: query timed out',
  ],
  ['another server', everything, { [backlogSeries]: '<html>' }, 'not as Prometheus does'],
  ['another JSON', everything, { [backlogSeries]: 'null' }, 'not as Prometheus does'],
])('%s is an error, and not 0', async (_, group, answers, problem) => {
  const { http } = prometheus(answers);
  const read = await readPrometheus(url, group, http);
  expect(read.ok ? 'read' : read.error).toContain(problem);
});

test('a server that is away is told with its address', async () => {
  const detail = 'nothing listens there (connection refused)';
  const http: HttpPort = {
    send: () => Promise.resolve(err({ code: 'ECONNREFUSED', detail })),
    close: () => Promise.resolve(),
  };
  const error = `http://prom:9090/base/ does not answer: ${detail}`;
  expect(await readPrometheus(url, everything, http)).toEqual({ ok: false, error });
});
