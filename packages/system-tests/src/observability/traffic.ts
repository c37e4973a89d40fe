/**
 * Small traffic in which everything happens that a dashboard or an alert looks at: answers held and fetched,
 * three priorities of two tenants that both have work waiting, texts of different lengths, batches with an item
 * that fails, inputs that cannot be used, refusals, cancels, jobs that expire and answers that come late.
 */
import { readFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep, systemClock } from '@inferry/runtime';
import { repositoryPath } from '@inferry/testkit';
import { joinRepositories, writeSimulatedModel } from '../simulated-model.ts';
import { call, demoModels, postJson, type RunningRole } from '../system.ts';

/** Tenants as `INFERRY_TENANTS` has them. */
export const tenantSetting = 'acme:2,beta';
const tenants = ['acme', 'beta'] as const;
const priorities = ['high', 'normal', 'low'] as const;

/** Models that refuse, fail, expire and are late. */
export const standIns: readonly string[] = ['hasty', 'brittle', 'busy', 'tiny'];

const numberThatFails = 13;
const budgetMs = 500;
const seven = readFileSync(repositoryPath('models/digits/samples/seven.png'));
const texts = [
  'good',
  'the movie was bad',
  `good and great ${'and the movie was fine '.repeat(4)}`,
];

/** A repository with the demo models and stand-ins for what they do not do. Remove it when done. */
export async function trafficModels(): Promise<string> {
  const simulated = await Promise.all([
    // With a budget: refuses what would be late.
    writeSimulatedModel(
      'hasty',
      { run_ms: 100 },
      { max_batch_size: 1, admission: `{mode: target, budget_ms: ${budgetMs}}` },
    ),
    writeSimulatedModel('brittle', { run_ms: 5, fail_on: numberThatFails }),
    // Always has work waiting.
    writeSimulatedModel('busy', { run_ms: 100 }, { max_batch_size: 4 }),
    writeSimulatedModel('tiny', { run_ms: 100 }, { max_batch_size: 1, queue: '{max_depth: 4}' }),
  ]);
  const texts = await mkdtemp(join(tmpdir(), 'inferry-models-'));
  await cp(
    repositoryPath('packages/testkit/fixtures/pipelines/sentiment'),
    join(texts, 'sentiment'),
    {
      recursive: true,
    },
  );
  const parts = [...simulated, texts];
  const joined = await joinRepositories([demoModels, ...parts]);
  await Promise.all(parts.map((part) => rm(part, { recursive: true })));
  return joined;
}

/** Sends traffic until it is stopped; `stop` resolves once all of it was answered. */
export function startTraffic(
  gateways: readonly RunningRole[],
  workers: readonly RunningRole[],
): { stop(): Promise<void> } {
  const stopping = new AbortController();
  let turn = 0;
  /** Deals out gateways, tenants, priorities and texts in turn. */
  const next = <T>(list: readonly T[]): T => list[(turn += 1) % list.length] as T;
  const base = (): string => next(gateways).url;

  const lanes = [
    // What ordinary callers do.
    repeat(200, async () => {
      const priority = next(priorities);
      const headers = { prefer: 'wait=10', 'inferry-tenant': next(tenants) };
      const iris = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };
      await Promise.all([
        postJson(`${base()}/v1/models/iris/jobs`, { input: iris, priority }, headers),
        ...texts.map((text) =>
          postJson(`${base()}/v1/models/sentiment/jobs`, { input: { text }, priority }, headers),
        ),
      ]);
    }),
    repeat(500, () => sendImage(base(), seven)),
    // The header of a PNG, and nothing behind it.
    repeat(500, () => sendImage(base(), seven.subarray(0, 64))),
    // Both tenants always have some waiting, of each priority.
    repeat(300, async () => {
      for (const tenant of tenants) {
        for (const priority of priorities) await submit(base(), 'busy', 1, tenant, { priority });
      }
    }),
    repeat(1_000, async () => {
      const values = [1, 2, numberThatFails, 4];
      await Promise.all(values.map((value) => submit(base(), 'brittle', value)));
    }),
    // More at once than fit into the budget, or into the queue.
    repeat(1_500, async () => {
      await Promise.all(Array.from({ length: 12 }, () => infer(base(), 'hasty')));
    }),
    repeat(1_000, async () => {
      await Promise.all(Array.from({ length: 12 }, () => submit(base(), 'tiny', 1)));
    }),
    repeat(500, async () => {
      const url = base();
      const { body } = await submit(url, 'busy', 1, 'acme', { priority: 'low' });
      await call(`${url}/v1/jobs/${String(body['id'])}/cancel`, { method: 'POST' });
    }),
    repeat(500, () => submit(base(), 'busy', 1, 'acme', { priority: 'low', deadline_ms: 10 })),
    // Workers that pause for longer than the budget, while they have something with a budget.
    repeat(3_000, async () => {
      const answer = infer(base(), 'hasty');
      await sleep(systemClock, 50);
      for (const { childPid } of workers) process.kill(childPid, 'SIGSTOP');
      try {
        await sleep(systemClock, 2 * budgetMs);
      } finally {
        for (const { childPid } of workers) process.kill(childPid, 'SIGCONT');
      }
      await answer;
    }),
  ];

  async function repeat(everyMs: number, act: () => Promise<unknown>): Promise<void> {
    while (!stopping.signal.aborted) {
      await act();
      await sleep(systemClock, everyMs);
    }
  }

  const all = Promise.all(lanes);
  // Whoever stops the traffic hears of it.
  all.catch(() => undefined);
  return {
    async stop() {
      stopping.abort();
      await all;
    },
  };
}

function tensors(value: number): unknown {
  return { inputs: [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [value] }] };
}

function submit(
  base: string,
  model: string,
  value: number,
  tenant = 'acme',
  more: Readonly<Record<string, unknown>> = {},
): ReturnType<typeof postJson> {
  const body = { input: tensors(value), ...more };
  return postJson(`${base}/v1/models/${model}/jobs`, body, { 'inferry-tenant': tenant });
}

function infer(base: string, model: string): ReturnType<typeof postJson> {
  return postJson(`${base}/v2/models/${model}/infer`, tensors(1), { 'inferry-tenant': 'beta' });
}

function sendImage(base: string, image: Uint8Array): ReturnType<typeof call> {
  return call(`${base}/v1/models/digits/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'image/png', prefer: 'wait=10' },
    body: new Uint8Array(image),
  });
}
