/** A worker whose models change, with sessions that are watched. For tests only. */
import { type ClassId, classOf, failure, type ModelManifest } from '@inferry/contracts';
import { createSimulatedBackend, type InferenceBackend } from '@inferry/inference';
import { err, invariant, VirtualClock } from '@inferry/runtime';
import type { ApplyReport } from './wanted-models.ts';
import { advance, answerOf, type Fixture, fixtureOn, modelManifest } from './worker.fixture.ts';

/** Two leases. */
export const graceMs = 10_000;

export const echo = (version: string, digest = version): ModelManifest => ({
  ...modelManifest,
  version,
  digest,
});
export const [v1, v2] = [classOf('echo', '1'), classOf('echo', '2')];

interface Sessions {
  readonly backend: InferenceBackend;
  /** `load 2`, `run 2`, `close 2`, by digest, as they happened. */
  readonly log: string[];
  /** Digests that cannot be loaded. */
  readonly broken: Set<string>;
  /** The next loads end when this is called. */
  hold(): () => void;
}

function sessionsOn(clock: VirtualClock): Sessions {
  const simulated = createSimulatedBackend({ clock, abort: () => undefined });
  const log: string[] = [];
  const broken = new Set<string>();
  let held: Promise<void> = Promise.resolve();
  const backend: InferenceBackend = {
    async load(manifest, device, preparation) {
      const { digest } = manifest;
      log.push(`load ${digest}`);
      await held;
      if (broken.has(digest))
        return err(failure('model_unavailable', `${digest} is broken`) as never);
      const loaded = await simulated.load(manifest, device, preparation);
      if (!loaded.ok) return loaded;
      const { loadMs, preparer, provider, warmupRuns } = loaded.value;
      const run: typeof loaded.value.run = (items, outputs) => {
        log.push(`run ${digest}`);
        return loaded.value.run(items, outputs);
      };
      const close = (): Promise<void> => {
        log.push(`close ${digest}`);
        return loaded.value.close();
      };
      return { ok: true, value: { device, loadMs, preparer, provider, warmupRuns, run, close } };
    },
  };
  return {
    backend,
    log,
    broken,
    hold() {
      let release: () => void = () => undefined;
      held = new Promise((resolve) => (release = resolve));
      return release;
    },
  };
}

interface Changing extends Fixture<VirtualClock>, Sessions {
  /** Applies these versions; `retry` as the worker takes it. */
  readonly apply: (
    wanted: readonly ModelManifest[],
    retry?: readonly string[],
  ) => Promise<ApplyReport>;
  /** `1 ready`, as this worker announces them. */
  readonly announced: () => Promise<readonly string[]>;
  /** Has a job of the class run, 50 ms long at most; returns its answer. */
  readonly runOf: (cls: ClassId, value: number) => Promise<number | undefined>;
}

/** A worker that has started with these. */
export async function serving(
  manifests: readonly ModelManifest[],
  options: Partial<Parameters<typeof fixtureOn<VirtualClock>>[0]> = {},
): Promise<Changing> {
  const clock = new VirtualClock();
  const sessions = sessionsOn(clock);
  const deps = { backend: sessions.backend, ...options.deps };
  const fixture = fixtureOn({ clock, manifests, ...options, deps });
  const started = await fixture.worker.start();
  invariant(started.ok, 'all that it starts with can be loaded');
  const { queue, worker } = fixture;
  return {
    ...fixture,
    ...sessions,
    apply: (wanted, retry = []) => worker.apply({ manifests: wanted, routing: {}, retry }),
    announced: async () => {
      const own = (await queue.workers()).find(({ workerId }) => workerId === 'worker-1');
      return (own?.models ?? []).map(({ manifest, state }) => `${manifest.version} ${state}`);
    },
    runOf: async (cls, value) => {
      const id = await fixture.submit(value, { class: cls });
      await advance(clock, 50);
      return answerOf(await fixture.record(id));
    },
  };
}

/** Another worker that serves these versions of echo. */
export async function tellOf(
  { queue }: Pick<Changing, 'queue'>,
  ...models: readonly (readonly [version: string, state: 'ready' | 'retiring' | 'failed'])[]
): Promise<void> {
  const told = models.map(([version, state]) => ({
    manifest: echo(version),
    state,
    provider: 'cpu',
    device: 'cpu',
    loadMs: 1,
  }));
  const about = { host: 'h', pid: 2, state: 'serving', startedAtMs: 0 } as const;
  await queue.announce({ v: 1, workerId: 'other', ...about, models: told });
}
