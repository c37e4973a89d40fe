/** What a job of a composed model carries for its steps, how often it may start, and when the model is ready. */
import {
  classOf,
  defaultLimits,
  elementCount,
  type JobEnvelope,
  type ModelManifest,
} from '@inferry/contracts';
import { expect, test } from 'vitest';

import { tenantHeader } from './admission/tenants.ts';
import { testGateway } from './gateway-fixture.test.ts';
import { iris } from './models-fixture.test.ts';

const ensemble = {
  ...iris,
  name: 'photo',
  backend: 'ensemble',
  preprocess: { kind: 'none' },
  postprocess: { kind: 'none' },
} as const;

test('an ensemble has the weight of its tenant with it, and more starts than a model has', async () => {
  const gateway = testGateway({}, { models: [iris, ensemble], tenants: new Map([['acme', 7]]) });
  const inputs = ensemble.inputs.map(({ datatype, name, shape }) => {
    const sizes = shape.map((size) => (size === -1 ? 1 : size));
    return { name, datatype, shape: sizes, data: Array(elementCount(sizes)).fill(1) };
  });
  const jobs: JobEnvelope[] = [];
  for (const model of ['iris', 'photo']) {
    await gateway.request(`/v1/models/${model}/jobs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', [tenantHeader]: 'acme' },
      body: JSON.stringify({ input: { inputs } }),
    });
    const { claims } = await gateway.queue.claim(classOf(model, '1'), {
      workerId: 'w1',
      rowsMax: 1,
      rowsMin: 1,
      takeSuspect: false,
      freeInMs: [],
      agingMs: 60_000,
    });
    jobs.push(...claims.map(({ job }) => job));
  }
  await gateway.close();
  const told = jobs.map(({ attemptsMax, tenant, tenantWeight }) => [
    tenant,
    tenantWeight,
    attemptsMax,
  ]);
  expect(told).toEqual([
    ['acme', undefined, defaultLimits.attemptsMax],
    ['acme', 7, defaultLimits.ensembleAttemptsMax],
  ]);
});

test('a composed model is ready once what it runs is, at whatever depth', async () => {
  const runs = (name: string, model: string): ModelManifest => ({
    ...ensemble,
    name,
    ensemble: { steps: [{ model, version: null, inputs: {}, outputs: {} }] },
  });
  const loop: ModelManifest = {
    ...ensemble,
    name: 'loop',
    backend: 'processor',
    processor: { file: '', runs: ['photo'], stepsMax: 5 },
  };
  const models = [iris, runs('photo', 'iris'), loop];
  const gateway = testGateway({}, { models });
  const announce = (manifests: readonly ModelManifest[]): void => {
    const served = { state: 'ready', provider: 'cpu', device: 'cpu', loadMs: 1 } as const;
    const worker = { v: 1, workerId: 'w1', host: 'h', pid: 1, startedAtMs: 1 } as const;
    gateway.catalogue.replaceAnnounced([
      {
        ...worker,
        state: 'serving',
        models: manifests.map((manifest) => ({ ...served, manifest })),
      },
    ]);
  };
  const told = async () => {
    const ready = await gateway.request('/v2/models/loop/ready');
    const index = await gateway.request('/v2/repository/index', { method: 'POST' });
    const document = await gateway.request('/v1/models/loop');
    return {
      ready: [ready.status, await ready.text()],
      index: ((await index.json()) as { readonly name: string }[]).find(
        ({ name }) => name === 'loop',
      ),
      document: ((await document.json()) as { readonly ready: boolean }).ready,
    };
  };
  announce(models.slice(1));
  const reason = 'runs "iris", which no worker has loaded';
  expect(await told()).toEqual({
    ready: [503, expect.stringContaining(`Model \\"loop\\" version 1 runs \\"iris\\", which`)],
    index: { name: 'loop', version: '1', state: 'UNAVAILABLE', reason },
    document: false,
  });
  announce(models);
  expect(await told()).toMatchObject({
    ready: [200, expect.anything()],
    index: { state: 'READY', reason: '' },
    document: true,
  });
  await gateway.close();
});
