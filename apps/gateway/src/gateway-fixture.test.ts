/** A gateway on the queue in memory, and a worker that settles what a test tells it to. */
import {
  type ClassId,
  classOf,
  decodeInput,
  defaultLimits,
  type JobInput,
  type Limits,
  type ModelManifest,
  type Outcome,
} from '@inferry/contracts';
import { ModelCatalogue } from '@inferry/models';
import type { Compat } from '@inferry/protocols';
import { type Claim, type ClaimRequest, createMemoryQueue, type JobQueue } from '@inferry/queue';
import { type Clock, type Random, systemClock, systemRandom } from '@inferry/runtime';
import { queueRules } from '@inferry/scheduling';
import { createLogger, createMetrics, type GatewayMetrics, type Tracing } from '@inferry/telemetry';
import { expect, test } from 'vitest';

import { FirstResponses } from './first-responses.ts';
import { createGateway, type Gateway } from './gateway.ts';
import type { ControlSettings } from './model-control.ts';
import { QueueLooks } from './queue-looks.ts';
import { createGatewayTelemetry } from './telemetry.ts';
import { digits, iris } from './models-fixture.test.ts';

export interface TestGateway {
  readonly gateway: Gateway;
  readonly queue: JobQueue;
  readonly catalogue: ModelCatalogue;
  readonly firstResponses: FirstResponses;
  readonly metrics: GatewayMetrics;
  /** Sends a request to the app, without a socket. */
  request(path: string, init?: RequestInit): Promise<Response>;
  close(): Promise<void>;
}

export const claimRequest: ClaimRequest = {
  workerId: 'w1',
  rowsMax: 8,
  rowsMin: 1,
  takeSuspect: true,
  freeInMs: [0],
  agingMs: 60_000,
};

const classesServed: readonly ClassId[] = [classOf('iris', '1'), classOf('digits', '1')];

export function testGateway(
  limits: Partial<Limits> = {},
  {
    cacheBytesMax,
    clock = systemClock,
    compat,
    modelControl,
    rereadModels,
    models = [digits, iris],
    random = systemRandom,
    tenants,
    tracing,
  }: {
    readonly cacheBytesMax?: number;
    readonly clock?: Clock;
    readonly compat?: Compat;
    readonly modelControl?: ControlSettings;
    readonly rereadModels?: () => Promise<unknown>;
    readonly models?: readonly ModelManifest[];
    readonly random?: Random;
    readonly tenants?: ReadonlyMap<string, number>;
    readonly tracing?: Tracing;
  } = {},
): TestGateway {
  const queue = createMemoryQueue({ clock, rules: queueRules });
  const build = { version: '0', revision: '', onnxruntime: 'none' };
  const metrics = createMetrics('gateway', build);
  const catalogue = new ModelCatalogue();
  catalogue.replaceLocal({ models, routing: {} });
  const firstResponses = new FirstResponses(catalogue);
  const named = tenants === undefined ? {} : { tenants };
  const gateway = createGateway({
    queue,
    looks: new QueueLooks({ queue, catalogue, clock, ...named }),
    catalogue,
    firstResponses,
    clock,
    random,
    limits: { ...defaultLimits, ...limits },
    telemetry: createGatewayTelemetry(metrics),
    log: createLogger({ role: 'gateway', level: 'silent' }),
    gatewayId: 'gw',
    version: '9.9.9',
    ...named,
    ...(cacheBytesMax === undefined ? {} : { cacheBytesMax }),
    ...(compat === undefined ? {} : { compat }),
    ...(rereadModels === undefined ? {} : { rereadModels }),
    ...(modelControl === undefined ? {} : { modelControl }),
    ...(tracing === undefined ? {} : { tracing }),
  });
  return {
    gateway,
    queue,
    catalogue,
    firstResponses,
    metrics,
    request: async (path, init) => gateway.app.request(path, init),
    async close() {
      await gateway.close();
      await queue.close();
    },
  };
}

export const succeeded: Outcome = {
  status: 'succeeded',
  output: { form: 'rows', rows: [{ label: '7' }] },
  error: null,
  batchRows: 4,
  timings: {
    queueWaitMs: 1,
    fetchMs: 2,
    preprocessMs: 3,
    batchWaitMs: 4,
    computeMs: 5,
    postprocessMs: 6,
  },
  readyAtMs: null,
  overtakenBy: 0,
};

export interface TestWorker {
  readonly seen: readonly { readonly claim: Claim; readonly input: JobInput }[];
  stop(): Promise<void>;
}

/** Claims whatever comes and settles it with what `run` says. */
export function startWorker(
  queue: JobQueue,
  run: (input: JobInput, claim: Claim) => Outcome | Promise<Outcome> = () => succeeded,
  classes: readonly ClassId[] = classesServed,
): TestWorker {
  const stop = new AbortController();
  const seen: { claim: Claim; input: JobInput }[] = [];
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      let isIdle = true;
      for (const cls of classes) {
        const { claims } = await queue.claim(cls, claimRequest);
        for (const claim of claims) {
          isIdle = false;
          const input = decodeInput(claim.payload ?? new Uint8Array());
          seen.push({ claim, input });
          await queue.settle(cls, [{ claim, outcome: await run(input, claim) }]);
        }
      }
      if (isIdle) await queue.awaitWork('w1', classes, stop.signal);
    }
  };
  const done = loop();
  return {
    seen,
    async stop() {
      stop.abort();
      await done;
    },
  };
}

test('the worker of the fixture settles each job once, and stops when told', async () => {
  const fixture = testGateway();
  const worker = startWorker(fixture.queue);
  const body = '{"input":{"length":1,"width":2}}';
  const headers = { 'Content-Type': 'application/json', Prefer: 'wait=5' };
  await fixture.request('/v1/models/iris/jobs', { method: 'POST', body, headers });
  await worker.stop();
  expect(worker.seen).toHaveLength(1);
  await fixture.close();
});
