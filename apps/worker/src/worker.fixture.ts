/** A worker on the memory queue, a simulated model and a clock that tests move. For tests only. */
import { setImmediate } from 'node:timers/promises';
import {
  classOf,
  defaultLimits,
  defaultTenant,
  encodeInput,
  type JobEnvelope,
  type JobId,
  type JobInput,
  type JobRecord,
  type Limits,
  type ModelManifest,
  newJobId,
  type Tensor,
} from '@inferry/contracts';
import { createSimulatedBackend, type InferenceBackend } from '@inferry/inference';
import {
  type ClaimRequest,
  createMemoryQueue,
  type EnqueueTerms,
  type JobQueue,
} from '@inferry/queue';
import { type Clock, invariant, seededRandom, VirtualClock } from '@inferry/runtime';
import { queueRules } from '@inferry/scheduling';
import type { Logger } from '@inferry/telemetry';
import type { WorkerDeps } from './deps.ts';
import type { WorkerTelemetry } from './telemetry.ts';
import { createWorker, type Worker } from './wire.ts';

export const modelManifest: ModelManifest = {
  name: 'echo',
  version: '1',
  digest: 'none',
  backend: 'simulated',
  file: '/srv/models/echo/1/model.onnx',
  fileBytes: 0,
  maxBatchSize: 4,
  instances: [{ kind: 'cpu', count: 1 }],
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
  preprocess: { kind: 'none' },
  postprocess: { kind: 'none' },
  simulated: { runMs: 20, rowMs: 0, failOn: 666, hangOn: 777, crashOn: null },
  latencyTargetMs: null,
  linger: { mode: 'none', maxMs: 0 },
  admission: { mode: 'depth', budgetMs: null, onInfeasible: 'refuse' },
  queueDepthMax: 1_000,
  agingMs: 60_000,
  weight: 1,
  timeoutMs: 60_000,
  executionTimeoutMs: 1_000,
  session: { intraOpThreads: 1, graphOptimization: 'all' },
  warmupRows: [],
};

/** A claim as another worker would make it. */
export const claimByOther: ClaimRequest = {
  workerId: 'dead',
  rowsMax: 4,
  rowsMin: 1,
  takeSuspect: false,
  freeInMs: [],
  agingMs: 60_000,
};

/** Takes whatever fits. */
export const takesAll: EnqueueTerms = {
  depthMax: 100_000,
  bytesMax: 1e9,
  tenantDepthMax: null,
  weight: 1,
  budget: null,
};

export const silent: Logger = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  fatal: () => undefined,
  child: () => silent,
};

/** One run of a model as the backend saw it. */
interface SeenRun {
  readonly model: string;
  readonly values: readonly number[];
  readonly startedAtMs: number;
  endedAtMs: number | null;
}

interface TelemetryEvent {
  readonly name: string;
  readonly args: readonly unknown[];
}

export interface Fixture<C extends Clock> {
  readonly clock: C;
  readonly queue: JobQueue;
  readonly worker: Worker;
  readonly runs: readonly SeenRun[];
  readonly events: readonly TelemetryEvent[];
  /** How often the worker killed its process. */
  readonly kills: () => number;
  /**
   * Enqueues a job with `rows` rows (1 by default), the first of which holds `value`; null makes an
   * input no model can use. `input` takes the place of both.
   */
  readonly submit: (
    value: number | null,
    job?: Partial<JobEnvelope>,
    input?: JobInput,
  ) => Promise<JobId>;
  readonly record: (id: JobId) => Promise<JobRecord>;
  readonly countOf: (name: keyof WorkerTelemetry) => number;
}

interface FixtureOptions<C extends Clock> {
  readonly clock: C;
  readonly manifests?: readonly ModelManifest[];
  readonly limits?: Partial<Limits>;
  readonly deps?: Partial<WorkerDeps>;
  /** The memory queue when absent. */
  readonly queue?: JobQueue;
  /** Puts something between the worker and the queue. */
  readonly wrapQueue?: (queue: JobQueue) => JobQueue;
}

export function fixtureOn<C extends Clock>(options: FixtureOptions<C>): Fixture<C> {
  const { clock, manifests = [modelManifest], wrapQueue = (queue) => queue } = options;
  const { queue = createMemoryQueue({ clock, rules: queueRules }) } = options;
  const runs: SeenRun[] = [];
  const events: TelemetryEvent[] = [];
  const random = seededRandom(7);
  let kills = 0;
  const worker = createWorker({
    queue: wrapQueue(queue),
    payloadReaderOptions: null,
    backend: watched(createSimulatedBackend({ clock, abort: () => undefined }), runs, clock),
    manifests,
    device: { kind: 'cpu', index: 0 },
    hardware: 'a machine',
    cores: 8,
    concurrentRuns: null,
    workerId: 'worker-1',
    host: 'host',
    pid: 1,
    clock,
    random,
    limits: { ...defaultLimits, ...options.limits },
    telemetry: recorder(events),
    logger: silent,
    kill: () => {
      kills += 1;
    },
    preparationThreads: 0,
    prepareIn: 'threads',
    jpegDecoder: 'auto',
    ...options.deps,
  });
  return {
    clock,
    queue,
    worker,
    runs,
    events,
    kills: () => kills,
    async submit(value, job = {}, input?) {
      const id = newJobId(clock.nowMs(), random);
      const tensors = [tensorOf(value, job.rows)];
      const payload = encodeInput(input ?? { form: 'tensors', tensors });
      const envelope = { ...envelopeOf(id, payload.length), ...job };
      const enqueued = await queue.enqueue(envelope, payload, takesAll);
      invariant(enqueued.ok, 'the queue has room');
      return id;
    },
    async record(id) {
      const found = await queue.find(id);
      invariant(found.ok && found.value.found === 'record', 'the job is known');
      return found.value.record;
    },
    countOf: (name) => events.filter((event) => event.name === name).length,
  };
}

export function virtualFixture(
  options: Omit<FixtureOptions<VirtualClock>, 'clock'> = {},
): Fixture<VirtualClock> {
  return fixtureOn({ ...options, clock: new VirtualClock() });
}

/** The queue with some of its methods replaced: a link to it that fails now and then, or is listened to. */
export function replacing(queue: JobQueue, methods: Partial<JobQueue>): JobQueue {
  const handler: ProxyHandler<JobQueue> = {
    get(target, name) {
      const value: unknown = Reflect.get(name in methods ? methods : target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  };
  return new Proxy(queue, handler);
}

/** Moves the clock in steps of a millisecond, letting everything that became due happen in between. */
export async function advance(clock: VirtualClock, ms: number): Promise<void> {
  await setImmediate();
  for (let passed = 0; passed < ms; passed += 1) {
    await clock.advance(Math.min(1, ms - passed));
    await setImmediate();
  }
}

/** The number in a job's answer. */
export function answerOf(record: JobRecord): number | undefined {
  const output = record.outcome?.output;
  if (output?.form !== 'tensors') return undefined;
  const [tensor] = output.tensors;
  return tensor === undefined ? undefined : valueOf(tensor);
}

function valueOf(tensor: Tensor): number {
  return new DataView(tensor.bytes.buffer, tensor.bytes.byteOffset).getFloat32(0, true);
}

function tensorOf(value: number | null, rows = 1): Tensor {
  const bytes = new Uint8Array(4 * rows);
  new DataView(bytes.buffer).setFloat32(0, value ?? 0, true);
  return { name: value === null ? 'unknown' : 'x', datatype: 'FP32', shape: [rows, 1], bytes };
}

function envelopeOf(id: JobId, payloadBytes: number): JobEnvelope {
  return {
    v: 1,
    id,
    class: classOf(modelManifest.name, modelManifest.version),
    tenant: defaultTenant,
    priority: 'normal',
    rows: 1,
    payloadBytes,
    mode: 'async',
    gateway: null,
    requestId: 'req',
    admissionMs: 1,
    deadlineMs: 60_000,
    queueTimeoutMs: 60_000,
    executionTimeoutMs: 1_000,
    attemptsMax: 3,
    retentionMs: 60_000,
    metadata: {},
  };
}

function watched(backend: InferenceBackend, runs: SeenRun[], clock: Clock): InferenceBackend {
  return {
    async load(manifest, device, preparation) {
      const loaded = await backend.load(manifest, device, preparation);
      if (!loaded.ok) return loaded;
      const instance = loaded.value;
      const run: typeof instance.run = async (items, outputs) => {
        const values = items.flatMap((item) =>
          'tensors' in item ? item.tensors.map(valueOf) : [],
        );
        const startedAtMs = clock.nowMs();
        const seen: SeenRun = { model: manifest.name, values, startedAtMs, endedAtMs: null };
        runs.push(seen);
        const result = await instance.run(items, outputs);
        seen.endedAtMs = clock.nowMs();
        return result;
      };
      const { provider, loadMs, preparer, warmupRuns } = instance;
      const close = (): Promise<void> => instance.close();
      return { ok: true, value: { provider, device, loadMs, preparer, warmupRuns, run, close } };
    },
  };
}

function recorder(events: TelemetryEvent[]): WorkerTelemetry {
  const handler: ProxyHandler<object> = {
    get:
      (_, name) =>
      (...args: unknown[]) =>
        void events.push({ name: String(name), args }),
  };
  return new Proxy({}, handler) as WorkerTelemetry;
}
