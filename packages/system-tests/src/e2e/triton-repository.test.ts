/** A Triton model repository is served as it lies there, by the one command. */
import { type AppProcess, repositoryPath, startProcess, waitFor } from '@inferry/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Answer, call, postJson, readiness } from '../system.ts';
import { complaints, exposition, type Samples, scrape } from './scrape.ts';

const models = repositoryPath('packages/testkit/fixtures/triton');

let server: AppProcess;
let url = '';
let metricsUrl = '';

beforeAll(async () => {
  server = startProcess(['serve', models], {
    env: { PORT: '0', METRICS_PORT: '0', INFERRY_TRITON_METRICS: '1' },
  });
  ({ metricsUrl, url } = await readiness(server, 'serve'));
}, 60_000);

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** `rows` rows of `scores`, in the shape that config.pbtxt gives its callers. */
function score(rows: number, more: object = {}): Promise<Answer> {
  const data = Array.from({ length: rows }, () => [1, 2, 3, 10, 20, 30]).flat();
  const inputs = [{ name: 'image', datatype: 'FP32', shape: [rows, 2, 3], data }];
  return postJson(`${url}/v2/models/scores/infer`, { inputs, ...more });
}

function double(path: string): Promise<Answer> {
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, -2] }];
  return postJson(`${url}/v2/models/${path}/infer`, { inputs });
}

test('callers send and get the dimensions of config.pbtxt, whatever those of the model are', async () => {
  expect((await call(`${url}/v2/models/scores`)).body).toMatchObject({
    platform: 'onnxruntime_onnx',
    inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 2, 3] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: [-1, 3] }],
  });
  const answer = await score(2);
  expect([answer.status, answer.body]).toMatchObject([
    200,
    { outputs: [{ name: 'scores', shape: [2, 3], data: [11, 22, 33, 11, 22, 33] }] },
  ]);
  const inputs = [{ name: 'image', datatype: 'FP32', shape: [1, 6], data: [1, 2, 3, 4, 5, 6] }];
  expect((await postJson(`${url}/v2/models/scores/infer`, { inputs })).body['error']).toContain(
    'Input "image" is FP32 [-1,2,3]; shape [1,6] does not fit',
  );
});

test('the labels of an output are told with its classes', async () => {
  const outputs = [{ name: 'scores', parameters: { classification: 2 } }];
  expect((await score(1, { outputs })).body).toMatchObject({
    outputs: [{ datatype: 'BYTES', data: ['33.000000:2:high', '22.000000:1:middle'] }],
  });
});

test('with dynamic_batching requests share runs up to the largest preferred size, without it none do', async () => {
  const sizes = (answers: readonly Answer[]): number[] =>
    answers.map(({ headers }) => Number(headers.get('x-batch-size')));
  const twelve = Array.from({ length: 12 });
  const joined = sizes(await Promise.all(twelve.map(() => score(1))));
  expect(Math.max(...joined)).toBeGreaterThan(1);
  expect(Math.max(...joined)).toBeLessThanOrEqual(4);
  const [large] = sizes([await score(6)]);
  expect(large).toBe(6);
  const alone = sizes(await Promise.all(twelve.map(() => double('doubled'))));
  expect(alone).toEqual(twelve.map(() => 1));
});

test('the versions of the policy are served side by side, from the file that is named, the latest by default', async () => {
  expect((await call(`${url}/v2/models/doubled`)).body).toMatchObject({ versions: ['1', '2'] });
  const answers = [double('doubled'), double('doubled/versions/1'), double('doubled/versions/2')];
  const data = (await Promise.all(answers)).map(({ body }) => body['outputs']);
  // The output that config.pbtxt leaves out is not there.
  expect(data).toMatchObject([
    [{ name: 'y', data: [2, -4] }],
    [{ name: 'y', data: [1, -2] }],
    [{ name: 'y', data: [2, -4] }],
  ]);
  expect(data.map((outputs) => (outputs as unknown[]).length)).toEqual([1, 1, 1]);
});

test('the configuration is told, of every model', async () => {
  expect((await call(`${url}/v2`)).body['extensions']).toContain('model_configuration');
  const scores = await call(`${url}/v2/models/scores/config`);
  expect([scores.status, scores.body]).toMatchObject([
    200,
    {
      name: 'scores',
      max_batch_size: 8,
      input: [{ data_type: 'TYPE_FP32', dims: [2, 3], reshape: { shape: [6] } }],
      output: [{ label_filename: 'labels.txt' }],
      dynamic_batching: { preferred_batch_size: [2, 4], max_queue_delay_microseconds: 50_000 },
      instance_group: [{ kind: 'KIND_CPU', count: 1 }],
      model_transaction_policy: { decoupled: false },
    },
  ]);
  expect((await call(`${url}/v2/models/plain/versions/1/config`)).body).toMatchObject({
    max_batch_size: 8,
    input: [{ name: 'x', dims: [2] }],
    version_policy: { all: {} },
  });
  expect((await call(`${url}/v2/models/none/config`)).status).toBe(404);
  expect((await call(`${url}/v2/models/doubled/versions/3/config`)).status).toBe(404);
});

test('what is served without is in the log, with its file and line', () => {
  const line = server.lines.find((text) => text.includes('gpu_mem_limit'));
  expect(line).toContain(
    `${models}/scores/config.pbtxt:38: parameters.gpu_mem_limit: has no effect`,
  );
  expect(line).toContain('"level":"warn"');
});

test("metrics under Triton's names tell what the statistics tell", async () => {
  const times = ['request', 'queue', 'compute_input', 'compute_infer', 'compute_output'];
  const of = (samples: Samples, name: string, more = ''): number | undefined =>
    samples.get(`nv_inference_${name}{model="plain",version="1"${more}}`);
  const before = await scrape(metricsUrl);
  // Series are there before anything happens, also of each reason.
  for (const reason of ['REJECTED', 'CANCELED', 'BACKEND', 'OTHER']) {
    expect(of(before, 'request_failure', `,reason="${reason}"`)).toBe(0);
  }
  for (const name of ['request_success', 'count', 'exec_count', 'pending_request_count']) {
    expect(of(before, name)).toBe(0);
  }
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [3, 2], data: [1, 2, 3, 4, 5, 6] }];
  expect((await postJson(`${url}/v2/models/plain/infer`, { inputs })).status).toBe(200);
  await waitFor(async () => of(await scrape(metricsUrl), 'request_success') === 1, {
    what: 'the request to be counted',
  });
  const after = await scrape(metricsUrl);
  expect([of(after, 'count'), of(after, 'exec_count')]).toEqual([3, 1]);
  const { body } = await call(`${url}/v2/models/plain/stats`);
  const [told] = body['model_stats'] as readonly [Record<string, Record<string, { ns: number }>>];
  const namesOf = new Map([['request', 'success']]);
  for (const time of times) {
    const us = of(after, `${time}_duration_us`);
    expect(us).toBe((told['inference_stats']?.[namesOf.get(time) ?? time]?.ns ?? -1) / 1_000);
  }
  expect(of(after, 'compute_infer_duration_us')).toBeGreaterThan(0);
  expect(told).toMatchObject({ inference_count: 3, batch_stats: [{ batch_size: 3 }] });
  const firstResponse = 'nv_inference_first_response_histogram_ms';
  expect(after.get(`${firstResponse}_count{model="plain",version="1"}`)).toBe(1);
  const scores = 'model="scores",version="1"';
  expect(after.get(`${firstResponse}_count{${scores}}`)).toBeGreaterThan(0);
  const bounds = [...after.keys()].filter((key) =>
    key.startsWith(`${firstResponse}_bucket{${scores}`),
  );
  expect(bounds).toEqual(
    ['0.5', '60000', '+Inf'].map((le) => `${firstResponse}_bucket{${scores},le="${le}"}`),
  );
  // Names and units are not ours.
  const wrong = complaints(await exposition(metricsUrl));
  expect(wrong.filter((line) => !line.startsWith('nv_inference_'))).toEqual([]);
});
