/**
 * The main job: images and rows in over HTTP, through Redis and two workers, labels out. Accuracy
 * through the service equals accuracy on the held-out data, so nothing on the way changes an input.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  call,
  demoModels,
  ended,
  inParallel,
  metricSum,
  postJson,
  type RunningRole,
  System,
} from '../system.ts';

interface Case {
  readonly model: 'iris' | 'digits';
  readonly label: string;
  readonly submit: (base: string) => Promise<string>;
}

const columns = ['sepal_length', 'sepal_width', 'petal_length', 'petal_width'];
const species = ['setosa', 'versicolor', 'virginica'];

async function heldOut<T>(model: string): Promise<T> {
  return JSON.parse(await readFile(join(demoModels, model, 'heldout/heldout.json'), 'utf8')) as T;
}

describe('one gateway, two workers, one Redis', () => {
  let system: System;
  let gateway: RunningRole;
  let workers: readonly RunningRole[];
  let cases: readonly Case[];

  beforeAll(async () => {
    system = await System.open();
    [gateway, ...workers] = await Promise.all([
      system.start('gateway', demoModels),
      // Prepared in either way, and decoded by either library, an image is the same image.
      system.start('worker', demoModels, ['--prepare-in', 'threads', '--jpeg-decoder', 'sharp']),
      system.start('worker', demoModels, ['--prepare-in', 'compute']),
    ]);
    const iris = await heldOut<{ rows: number[][]; labels: number[] }>('iris');
    const digits = await heldOut<{ images: string[]; labels: number[] }>('digits');
    cases = [
      ...iris.rows.map((row, i): Case => {
        const input = Object.fromEntries(columns.map((column, at) => [column, row[at]]));
        return {
          model: 'iris',
          label: species[iris.labels[i] ?? -1] ?? '',
          submit: (base) => accepted(postJson(`${base}/v1/models/iris/jobs`, { input })),
        };
      }),
      ...digits.images.map((image, i): Case => ({
        model: 'digits',
        label: String(digits.labels[i]),
        submit: (base) =>
          accepted(
            call(`${base}/v1/models/digits/jobs`, {
              method: 'POST',
              headers: { 'content-type': 'image/png' },
              body: Buffer.from(image, 'base64'),
            }),
          ),
      })),
    ];
  }, 90_000);

  afterAll(async () => {
    await system.stop();
  });

  async function accepted(answer: ReturnType<typeof call>): Promise<string> {
    const { status, body } = await answer;
    expect(status, JSON.stringify(body)).toBe(202);
    return String(body['id']);
  }

  test('2,000 mixed jobs are all answered, rightly, in batches, with one outcome each', async () => {
    const jobs = Array.from({ length: 2_000 }, (_, i) => cases[i % cases.length] as Case);
    const ids = await inParallel(jobs, 64, (each) => each.submit(gateway.url));
    expect(new Set(ids).size).toBe(2_000);
    const answers = await inParallel(ids, 64, (id) => ended(gateway.url, id));
    const right = { iris: 0, digits: 0 };
    const asked = { iris: 0, digits: 0 };
    answers.forEach((job, i) => {
      const { model, label } = jobs[i] as Case;
      expect(job['status'], JSON.stringify(job)).toBe('succeeded');
      expect(job['attempt']).toBe(1);
      asked[model] += 1;
      const output = job['output'] as { readonly label: string; readonly top_k: unknown[] };
      if (output.label === label) right[model] += 1;
    });
    expect(right.digits / asked.digits).toBeGreaterThanOrEqual(0.97);
    expect(right.iris / asked.iris).toBeGreaterThanOrEqual(0.97);

    const settled = await metricSum(workers, 'inferry_requests_total');
    expect(settled).toBe(2_000);
    expect(await metricSum(workers, 'inferry_duplicate_results_total')).toBe(0);
    const runs = await metricSum(workers, 'inferry_batch_size_count');
    const rows = await metricSum(workers, 'inferry_batch_size_sum');
    expect(rows).toBe(2_000);
    expect(rows / runs).toBeGreaterThan(1.5);
    expect(await metricSum(workers, 'inferry_overtaken_jobs_total')).toBe(0);
  });

  test('dark digits on light paper are read as well as light ones on dark', async () => {
    const { default: sharp } = await import('sharp');
    const digits = await heldOut<{ images: string[]; labels: number[] }>('digits');
    const labels = await inParallel(digits.images, 32, async (image) => {
      const body = await sharp(Buffer.from(image, 'base64')).negate().png().toBuffer();
      const { status, body: job } = await call(`${gateway.url}/v1/models/digits/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'image/png', prefer: 'wait=30' },
        body,
      });
      expect(status).toBe(200);
      return (job['output'] as { readonly label: string }).label;
    });
    const right = labels.filter((label, i) => label === String(digits.labels[i])).length;
    expect(right / labels.length).toBeGreaterThanOrEqual(0.97);
  });

  test('the stages of a request add up to its end-to-end time', async () => {
    const e2e = await metricSum(workers, 'inferry_request_duration_seconds_sum');
    const stages = await metricSum(workers, 'inferry_stage_duration_seconds_sum');
    const requests = await metricSum(workers, 'inferry_request_duration_seconds_count');
    // Within 5 %, or a millisecond a request.
    expect(Math.abs(stages - e2e)).toBeLessThanOrEqual(Math.max(0.05 * e2e, 0.001 * requests));
  });

  test('raw tensors over the Open Inference Protocol give the same answer', async () => {
    const { status, body, headers } = await postJson(`${gateway.url}/v2/models/iris/infer`, {
      id: 'abc',
      inputs: [{ name: 'input', shape: [1, 4], datatype: 'FP32', data: [5.1, 3.5, 1.4, 0.2] }],
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ model_name: 'iris', id: 'abc' });
    const outputs = body['outputs'] as readonly {
      readonly name: string;
      readonly data: number[];
    }[];
    expect(outputs.find(({ name }) => name === 'label')?.data).toEqual([0]);
    expect(headers.get('server-timing')).toMatch(/compute;dur=/u);
  });
});
