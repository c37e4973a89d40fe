/** What is told of preparation before anything is served. */
import { classOf } from '@inferry/contracts';
import { createOnnxBackend, type ModelInstance } from '@inferry/inference';
import { loadRepository } from '@inferry/models';
import { invariant, seededRandom, systemClock } from '@inferry/runtime';
import { repositoryPath } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { measurePreparation, preparationModule } from './in-compute.ts';
import { openThreadPreparation, type SlotRequest } from './slot-thread.ts';

const cpu = { kind: 'cpu', index: 0 } as const;

async function digits() {
  const { models } = await loadRepository(repositoryPath('models'));
  const manifest = models.find(({ name }) => name === 'digits');
  invariant(manifest !== undefined, 'the repository has digits');
  const planned = { cls: classOf(manifest.name, manifest.version), devices: [cpu], manifest };
  const settings = { jpegDecoder: 'auto', payloadReaderOptions: null, prepareIn: 'auto' } as const;
  const module = preparationModule(planned, { ...settings, cores: 1, device: cpu });
  invariant(module !== null, 'one instance keeps one core busy');
  return { module, planned };
}

test('a preparation is measured without the run that would follow', async () => {
  const { module, planned } = await digits();
  const loaded = await createOnnxBackend().load(planned.manifest, cpu, module);
  invariant(loaded.ok && loaded.value.preparer !== null, 'the model is there and prepares');
  const instance = loaded.value;
  const { preparer } = loaded.value;
  const asked: SlotRequest[] = [];
  const watched: ModelInstance = {
    ...instance,
    run: (items, outputs) => instance.run(items, outputs),
    close: () => instance.close(),
    preparer: {
      prepare(request) {
        asked.push(request as SlotRequest);
        return preparer.prepare(request);
      },
      holds: (batch) => preparer.holds(batch),
      drop: (batch) => preparer.drop(batch),
      unwanted: () => preparer.unwanted(),
    },
  };
  const deps = { clock: systemClock, random: seededRandom(1) };
  const [rowMs] = await measurePreparation(planned, [watched], deps);
  expect(rowMs).toBeGreaterThan(0);
  await instance.close();
  const [request] = asked;
  invariant(request !== undefined, 'the thread was asked');
  const thread = await openThreadPreparation(module.data);
  const measured = await thread.prepare(request);
  expect(measured.expected).toBeNull();
  const served = await thread.prepare({ ...request, isRunNext: true });
  expect(served.expected).toMatchObject({ rows: [1] });
  await thread.close();
});
