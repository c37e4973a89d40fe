/** What a job of a composed model carries for its steps, and how often it may start. */
import { classOf, defaultLimits, elementCount, type JobEnvelope } from '@inferry/contracts';
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
