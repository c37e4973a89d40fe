/** How large the batches of a worker become, on the memory queue and a virtual clock. */
import type { ModelManifest } from '@inferry/contracts';
import type { InferenceBackend, RunItem } from '@inferry/inference';
import { sleep, VirtualClock } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import {
  advance,
  type Fixture,
  fixtureOn,
  modelManifest,
  replacing,
  silent,
} from './worker.fixture.ts';

const simulated = { runMs: 20, rowMs: 10, failOn: null, hangOn: null, crashOn: null };
const model: ModelManifest = { ...modelManifest, maxBatchSize: 8, warmupRows: [1, 8], simulated };

interface Line {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly text: string;
}

function workerOn(manifest: ModelManifest, backendOf?: (clock: VirtualClock) => InferenceBackend) {
  const offered: number[] = [];
  const clock = new VirtualClock();
  const lines: Line[] = [];
  const note = (fields: object, text = ''): void =>
    void lines.push({ fields: { ...fields }, text });
  const fixture = fixtureOn({
    clock,
    manifests: [manifest],
    // Offers are renewed every 20 s.
    limits: { leaseMs: 60_000 },
    wrapQueue: (queue) =>
      replacing(queue, {
        offer: (workerId, cls, profile) => {
          if (profile !== null) offered.push(profile.rowsMax);
          return queue.offer(workerId, cls, profile);
        },
      }),
    deps: {
      logger: { ...silent, info: note, warn: note },
      ...(backendOf === undefined ? {} : { backend: backendOf(clock) }),
    },
  });
  return { fixture, lines, offered };
}

/** Runs take `timeMs(rows)`; `sizes` were warmed. */
function backendThatTakes(
  clock: VirtualClock,
  timeMs: (rows: number) => number,
  sizes: readonly number[],
  seen: number[],
): InferenceBackend {
  const warmupRuns = sizes.flatMap((rows) =>
    Array.from({ length: 3 }, () => ({ rows, ms: timeMs(rows) })),
  );
  const run = async (items: readonly RunItem[]) => {
    const rows = items.reduce((sum, item) => sum + item.rows, 0);
    seen.push(rows);
    await sleep(clock, timeMs(rows));
    const answers = items.map((item) =>
      'tensors' in item ? item.tensors.map((tensor) => ({ ...tensor, name: 'y' })) : [],
    );
    return { ok: true, value: { items: answers, computeMs: timeMs(rows) } } as const;
  };
  return {
    load: (_, device) => {
      const loadMs = { session: 0, warmup: 0 };
      const close = (): Promise<void> => Promise.resolve();
      const preparer = null;
      const value = { provider: 'cpu', device, loadMs, preparer, warmupRuns, run, close } as const;
      return Promise.resolve({ ok: true, value });
    },
  };
}

const limitsOf = (fixture: Pick<Fixture<never>, 'events'>): unknown[] =>
  fixture.events.filter(({ name }) => name === 'batchLimited').map(({ args }) => args[1]);

async function submitMany(fixture: Pick<Fixture<never>, 'submit'>, jobs: number): Promise<void> {
  for (let i = 0; i < jobs; i += 1) await fixture.submit(i);
}

describe('the size of batches', () => {
  test('keeps the latency target, from the first batch on', async () => {
    const { fixture } = workerOn({ ...model, latencyTargetMs: 142 });
    await submitMany(fixture, 20);
    await fixture.worker.start();
    await advance(fixture.clock, 400);
    expect(limitsOf(fixture)).toEqual([5]);
    expect(fixture.runs.map((run) => run.values.length)).toEqual([5, 5, 5, 5]);
    await fixture.worker.close();
  });

  test('follows the target when runs turn out slower than the warm-up said, and so do offers', async () => {
    const seen: number[] = [];
    let factor = 1;
    const timeMs = (rows: number): number => factor * (20 + 10 * rows);
    const { fixture, lines, offered } = workerOn({ ...model, latencyTargetMs: 250 }, (clock) =>
      backendThatTakes(clock, timeMs, [1, 4, 8], seen),
    );
    await fixture.worker.start();
    expect(limitsOf(fixture)).toEqual([8]);
    factor = 2;
    await submitMany(fixture, 400);
    await advance(fixture.clock, 16_000);
    const last = Number(limitsOf(fixture).at(-1));
    expect(2 * timeMs(last) + 2).toBeLessThanOrEqual(250);
    expect(Math.max(...seen.slice(-20))).toBe(last);
    // An offer is also made when a class falls idle: the last one again.
    expect(offered.filter((rows, i) => rows !== offered[i - 1])).toEqual(limitsOf(fixture));
    expect(lines.map((line) => line.text)).toContain('batches have another size from now on');
    await fixture.worker.close();
  });

  test('ends where larger batches cost more a row', async () => {
    const seen: number[] = [];
    const timeMs = (rows: number): number => (rows <= 4 ? 20 + 5 * rows : 40 + 30 * (rows - 4));
    const { fixture } = workerOn(model, (clock) => backendThatTakes(clock, timeMs, [1, 8], seen));
    await submitMany(fixture, 800);
    await fixture.worker.start();
    expect(limitsOf(fixture)).toEqual([8]);
    await advance(fixture.clock, 14_000);
    expect(limitsOf(fixture).at(-1)).toBe(4);
    // The last batch holds what is left.
    expect(new Set(seen.slice(-20, -1))).toEqual(new Set([4]));
    await fixture.worker.close();
  });

  test('a larger job than the size of a batch runs alone', async () => {
    const { fixture } = workerOn({ ...model, latencyTargetMs: 82 });
    await fixture.submit(1, { rows: 7 });
    await submitMany(fixture, 2);
    await fixture.worker.start();
    expect(limitsOf(fixture)).toEqual([2]);
    await advance(fixture.clock, 200);
    expect(fixture.runs.map((run) => run.values.length)).toEqual([1, 2]);
    await fixture.worker.close();
  });

  test('a target that one row cannot keep is said once, with the sum', async () => {
    const { fixture, lines } = workerOn({ ...model, latencyTargetMs: 50 });
    await submitMany(fixture, 40);
    await fixture.worker.start();
    await advance(fixture.clock, 1_000);
    const said = lines.filter(({ fields }) => fields['code'] === 'TARGET_INFEASIBLE');
    expect(said).toHaveLength(1);
    expect(said[0]?.text).toContain('30 ms * (1 + 1/1) + 2 ms = 62 ms');
    expect(said[0]?.fields).toMatchObject({ target_ms: 50, needed_ms: 62 });
    expect(limitsOf(fixture)).toEqual([8]);
    await fixture.worker.close();
  });

  test('a session of its own for two makes larger batches possible', async () => {
    const instances = [{ kind: 'cpu', count: 2 } as const];
    const { fixture } = workerOn({ ...model, instances, latencyTargetMs: 142 });
    await fixture.worker.start();
    expect(limitsOf(fixture)).toEqual([7]);
    await fixture.worker.close();
  });
});
