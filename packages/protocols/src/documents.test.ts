import {
  classOf,
  defaultLimits,
  errorRegistry,
  failure,
  type JobRecord,
  newJobId,
} from '@inferry/contracts';
import { seededRandom } from '@inferry/runtime';
import { ok } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';

import { parseCall } from './bento.ts';
import { jobDocument, jobSchema } from './job-document.ts';
import { openApiDocument } from './openapi.ts';
import { parseSubmit } from './submit.ts';
import { parseInferRequest } from './open-inference.ts';
import { problemDocument, problemSchema } from './problem.ts';
import { parseClassify } from './tf-serving/classify.ts';
import { parsePredict } from './tf-serving/predict.ts';
import { adder, digits, fields, iris, sentiment, shop } from './models-fixture.test.ts';

const atMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

const queued: JobRecord = {
  job: {
    v: 1,
    id: newJobId(atMs, seededRandom(1)),
    class: classOf('iris', '1'),
    tenant: 'acme',
    priority: 'high',
    rows: 1,
    payloadBytes: 10,
    mode: 'async',
    gateway: null,
    requestId: 'req_1',
    admissionMs: 1,
    deadlineMs: 1000,
    queueTimeoutMs: 1000,
    executionTimeoutMs: 1000,
    attemptsMax: 3,
    retentionMs: 1000,
    metadata: { order: '42' },
  },
  status: 'queued',
  attempt: 0,
  enqueuedAtMs: atMs,
  startedAtMs: null,
  settledAtMs: null,
  deadlineAtMs: atMs + 1000,
  expiresAtMs: null,
  ahead: 12,
  isAheadApproximate: true,
  etaAtMs: atMs + 900,
  outcome: null,
};

const outcome = {
  status: 'succeeded',
  output: { form: 'rows', rows: [{ label: 'setosa' }] },
  error: null,
  batchRows: 16,
  timings: {
    queueWaitMs: 5,
    fetchMs: 0,
    preprocessMs: 0,
    batchWaitMs: 0,
    computeMs: 3.6,
    postprocessMs: 0,
  },
  readyAtMs: atMs + 9,
  overtakenBy: 0,
} as const;

const succeeded: JobRecord = {
  ...queued,
  status: 'succeeded',
  attempt: 1,
  startedAtMs: atMs + 5,
  settledAtMs: atMs + 10,
  expiresAtMs: atMs + 1010,
  ahead: null,
  isAheadApproximate: false,
  etaAtMs: null,
  outcome,
};

function read(record: JobRecord, nowMs = atMs): Record<string, unknown> {
  const document: unknown = JSON.parse(jobDocument(record, { baseUrl: 'https://x.test', nowMs }));
  return jobSchema.parse(document);
}

describe('the job document', () => {
  test('of a queued job says how many are ahead and when it should have ended', () => {
    expect(read(queued)).toMatchObject({
      model: 'iris',
      model_version: '1',
      status: 'queued',
      done: false,
      created_at: '2026-01-02T03:04:05.678Z',
      priority: 'high',
      queue: {
        ahead: 12,
        approximate: true,
        estimated_completion_at: '2026-01-02T03:04:06.578Z',
        estimate_ms: 900,
      },
      output: null,
      error: null,
      urls: { get: `https://x.test/v1/jobs/${queued.job.id}` },
    });
  });

  test('of a queued job counts down its estimate, and never beyond what was left at its start', () => {
    const estimateAt = (nowMs: number) => read(queued, nowMs)['queue'];
    expect(estimateAt(atMs + 100.5)).toMatchObject({ estimate_ms: 800 });
    expect(estimateAt(atMs + 5000)).toMatchObject({ estimate_ms: 0 });
    expect(estimateAt(atMs - 5000)).toMatchObject({ estimate_ms: 900 });
    expect(read({ ...queued, etaAtMs: null })['queue']).toMatchObject({
      ahead: 12,
      estimated_completion_at: null,
      estimate_ms: null,
    });
    expect(read(succeeded)['queue']).toBeNull();
  });

  test('of one row holds the document of the row, of several rows an array', () => {
    expect(read(succeeded)).toMatchObject({
      done: true,
      output: { label: 'setosa' },
      metrics: { queue_ms: 5, execution_ms: 4, total_ms: 10, batch_size: 16 },
    });
    const output = { form: 'rows', rows: [1, 2] } as const;
    expect(read({ ...succeeded, outcome: { ...outcome, output } })['output']).toEqual([1, 2]);
  });

  test('of tensors is exact for 64-bit integers', () => {
    const bytes = new Uint8Array(new BigInt64Array([2n ** 63n - 1n]).buffer);
    const tensor = { name: 'sum', datatype: 'INT64', shape: [1], bytes } as const;
    const output = { form: 'tensors', tensors: [tensor] } as const;
    const text = jobDocument(
      { ...succeeded, outcome: { ...outcome, output } },
      { baseUrl: '', nowMs: 0 },
    );
    expect(text).toContain('"data":[9223372036854775807]');
    expect(text).toContain(`"get":"/v1/jobs/${queued.job.id}"`);
  });

  test('of a failed job carries the error as the registry has it', () => {
    const error = { code: 'execution_timeout', detail: 'Too slow.' } as const;
    const failed = { ...outcome, status: 'failed', output: null, error } as const;
    const record = { ...succeeded, status: 'failed', outcome: failed } as const;
    expect(read(record)).toMatchObject({
      output: null,
      error: { code: 'execution_timeout', http_status: 504, retryable: true, attempt: 1 },
    });
  });
});

describe('the problem document', () => {
  const context = { requestId: 'req_1', instance: '/v1/x', surface: 'v1' } as const;

  test.each(Object.keys(errorRegistry) as (keyof typeof errorRegistry)[])('of %s', (code) => {
    const { status, body } = problemDocument(failure(code, 'why'), context);
    expect(status).toBe(errorRegistry[code].status);
    expect(problemSchema.parse(body)).toMatchObject({ code, detail: 'why', request_id: 'req_1' });
  });

  test('rounds Retry-After up to whole seconds', () => {
    const full = failure('queue_full', 'full', { retryAfterMs: 1001 });
    const { headers, body } = problemDocument(full, context);
    expect(headers).toMatchObject({ 'Retry-After': '2', 'Retry-After-Ms': '1001' });
    expect(body['retry_after_ms']).toBe(1001);
    const soon = problemDocument(failure('quota_exceeded', 'x', { retryAfterMs: 0.2 }), context);
    expect(soon.headers).toMatchObject({ 'Retry-After': '1', 'Retry-After-Ms': '1' });
  });

  test('of a 503 that passes says when to come back', () => {
    const away = problemDocument(failure('queue_unavailable', 'away'), context);
    expect(away.headers['Retry-After']).toBe('1');
    const off = problemDocument(failure('model_control_off', 'a setting'), context);
    expect(off.headers['Retry-After']).toBeUndefined();
  });

  test('on /v2 answers 400 for 422 and repeats the detail as error', () => {
    const extras = { errors: [], code: 'forged' };
    const bad = failure('invalid_input', 'why', { extras });
    const { status, body } = problemDocument(bad, { ...context, surface: 'v2' });
    expect(status).toBe(400);
    expect(body).toMatchObject({ status: 400, error: 'why', errors: [], code: 'invalid_input' });
  });
});

describe('the OpenAPI document', () => {
  const { preprocess } = sentiment;
  const short =
    preprocess.kind === 'text'
      ? { ...sentiment, name: 'short', preprocess: { ...preprocess, bytesMax: 5 } }
      : sentiment;
  const models = [iris, shop, digits, sentiment, short, fields, adder];
  const document = openApiDocument({ version: '1.2.3', models });
  const text = JSON.stringify(document);

  const bodyOf = (path: string, model: string): Uint8Array => {
    const paths = document['paths'] as Record<string, { readonly post: unknown }>;
    const operation = JSON.parse(JSON.stringify(paths[path]?.post)) as {
      requestBody: { content: Record<string, { examples: Record<string, { value: unknown }> }> };
    };
    const example = operation.requestBody.content['application/json']?.examples[model];
    return new TextEncoder().encode(JSON.stringify(example?.value));
  };

  test('refers to nothing it does not hold', () => {
    const refs = [...text.matchAll(/"\$ref":"#\/([^"]+)"/gu)].map((match) => match[1] ?? '');
    expect(refs.length).toBeGreaterThan(20);
    for (const ref of refs) {
      let node: unknown = document;
      for (const part of ref.split('/')) node = (node as Record<string, unknown>)[part];
      expect(node, ref).toBeDefined();
    }
  });

  test('has examples that the parsers accept', () => {
    const context = {
      limits: defaultLimits,
      cancelAfterMs: undefined,
      hasPriorities: false,
      allocate: (bytes: number) => new Uint8Array(bytes),
    };
    for (const manifest of models) {
      const bytes = bodyOf('/v1/models/{model}/jobs', manifest.name);
      const modelOf = () => ok(manifest);
      const submit = { ...context, modelIn: 'path', modelOf } as const;
      expect(parseSubmit({ kind: 'json', bytes }, submit)).toMatchObject({ ok: true });
      const infer = bodyOf('/v2/models/{model}/infer', manifest.name);
      expect(parseInferRequest(infer, manifest, context)).toMatchObject({ ok: true });
      const predict = bodyOf('/v1/models/{model}:predict', manifest.name);
      expect(parsePredict(predict, manifest, context)).toMatchObject({ ok: true });
      const call = { kind: 'json', bytes: bodyOf('/bento/{model}', manifest.name) } as const;
      expect(parseCall(call, manifest, context)).toMatchObject({ ok: true });
      if (manifest.postprocess.kind !== 'classify') continue;
      const classify = bodyOf('/v1/models/{model}:classify', manifest.name);
      expect(parseClassify(classify, manifest, context)).toMatchObject({ ok: true });
    }
  });

  test('writes a 64-bit integer as an integer', () => {
    expect(text).not.toContain('bigint');
    expect(document).toMatchObject({ openapi: '3.1.0', info: { version: '1.2.3' } });
  });
});
