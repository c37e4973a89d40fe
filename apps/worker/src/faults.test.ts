/** What must hold when something between a claim and its settlement goes wrong in an unusual place. */
import { classOf } from '@inferry/contracts';
import { createSimulatedBackend, type InferenceBackend } from '@inferry/inference';
import type { Claimed, JobQueue } from '@inferry/queue';
import { VirtualClock } from '@inferry/runtime';
import { expect, test } from 'vitest';
import {
  advance,
  claimByOther,
  fixtureOn,
  modelManifest,
  virtualFixture,
} from './worker.fixture.ts';

const echo = classOf('echo', '1');
const other = classOf('other', '1');

/** A backend whose outputs cannot be read for the second item of a batch. */
function brokenSecondOutput(clock: VirtualClock): InferenceBackend {
  const backend = createSimulatedBackend({ clock, abort: () => undefined });
  return {
    async load(manifest, device) {
      const loaded = await backend.load(manifest, device);
      if (!loaded.ok) return loaded;
      const instance = loaded.value;
      const run: typeof instance.run = async (items, outputs) => {
        const result = await instance.run(items, outputs);
        if (!result.ok) return result;
        const [first = [], ...rest] = result.value.items;
        return { ok: true, value: { ...result.value, items: [first, ...rest.map(() => [null!])] } };
      };
      return { ok: true, value: { ...instance, run, close: () => instance.close() } };
    },
  };
}

test('when serving a batch breaks off, the outcomes that were ready are settled', async () => {
  const clock = new VirtualClock();
  const fixture = fixtureOn({ clock, deps: { backend: brokenSecondOutput(clock) } });
  const ids = [await fixture.submit(1), await fixture.submit(2), await fixture.submit(3)];
  await fixture.worker.start();
  await advance(clock, 60);
  const records = await Promise.all(ids.map((id) => fixture.record(id)));
  expect(records.map(({ status }) => status)).toEqual(['succeeded', 'failed', 'failed']);
  expect(fixture.events.filter(({ name }) => name === 'inFlight').at(-1)?.args).toEqual([
    'echo',
    0,
  ]);
});

/** The reply to the first exclusive claim that takes something is lost; the next claim repeats it. */
function losingSuspect(queue: JobQueue): JobQueue {
  let lost: Claimed | undefined;
  let hasLost = false;
  const claim: JobQueue['claim'] = async (cls, request) => {
    if (lost !== undefined && cls === echo) {
      const answer = lost;
      lost = undefined;
      return answer;
    }
    const claimed = await queue.claim(cls, request);
    if (!request.takeSuspect || hasLost || claimed.claims.length === 0) return claimed;
    hasLost = true;
    lost = claimed;
    throw new Error('the connection broke');
  };
  return new Proxy(queue, {
    get: (target, name) => {
      if (name === 'claim') return claim;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

test('a suspect whose claim is answered late still runs alone', async () => {
  const second = { ...modelManifest, name: 'other' };
  const fixture = virtualFixture({
    manifests: [modelManifest, second],
    wrapQueue: losingSuspect,
  });
  await fixture.submit(1);
  const { claims } = await fixture.queue.claim(echo, claimByOther);
  await fixture.queue.giveBack(echo, claims, true);
  for (let i = 0; i < 400; i += 1) await fixture.submit(100 + i, { class: other });
  await fixture.worker.start();
  await advance(fixture.clock, 2_500);
  const suspect = fixture.runs.find(({ model }) => model === 'echo');
  expect(suspect?.values).toEqual([1]);
  const beside = fixture.runs.filter(
    ({ model, startedAtMs, endedAtMs }) =>
      model === 'other' &&
      startedAtMs < (suspect?.endedAtMs ?? Infinity) &&
      (endedAtMs ?? Infinity) > (suspect?.startedAtMs ?? 0),
  );
  expect(beside).toEqual([]);
  await fixture.worker.close();
});
