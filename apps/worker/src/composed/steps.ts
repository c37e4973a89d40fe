/**
 * Steps of composed models: each is a job of its model, in line and in batches with everybody else's. It has the
 * tenant and the priority of its parent and what is left of its time; it is held, and its outcome comes to this
 * process. A parent that nobody wants any more takes its steps along.
 */
import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import {
  attemptsMaxOf,
  type ClassId,
  classOf,
  type Failure,
  failure,
  inputPieces,
  type JobEnvelope,
  type JobId,
  type JobRecord,
  type Limits,
  type ModelManifest,
  newJobId,
  nestedStepsMax,
  queueTimeoutOf,
  type Tensor,
} from '@inferry/contracts';
import type { Enqueued, JobQueue } from '@inferry/queue';
import { type Clock, err, ok, type Random, type Result, sleep } from '@inferry/runtime';
import { flowWeight } from '@inferry/scheduling';
import type { SendSpan } from '@inferry/telemetry';
import type { HeldJob } from '../held-job.ts';
import type { QueueClock } from '../queue-clock.ts';
import type { StepRequest } from './program.ts';
import type { StepVersions } from './step-models.ts';
import { fitted } from './step-tensors.ts';

export interface StepRunnerDeps {
  readonly queue: Pick<JobQueue, 'enqueue' | 'outcome' | 'cancel' | 'erase'>;
  /** Where outcomes are to come: this process, as the queue knows it. */
  readonly gatewayId: string;
  readonly clock: Clock;
  readonly queueClock: QueueClock;
  readonly random: Random;
  readonly limits: Limits;
  /** See {@link StepModels.resolve}. */
  readonly resolve: (model: string, versions: StepVersions) => Result<ModelManifest, Failure>;
}

/** A claimed job of a composed model. */
export interface StepParent {
  readonly job: Pick<HeldJob, 'claim' | 'isGoingBack' | 'isLost' | 'span'>;
  /** Aborted when nobody wants it any more. */
  readonly signal: AbortSignal;
}

/** Of the parents of a step's parent, in the metadata of its job. */
const depthKey = 'inferry.step_depth';
/** What passes by itself: the step is sent again within the time of its parent. */
const passingCodes: ReadonlySet<string> = new Set([
  'queue_unavailable',
  'storage_exhausted',
  'queue_full',
]);
const firstRetryMs = 100;
const lastRetryMs = 2_000;

/** A step that was canceled is sent under another id so often: each time a worker had given its job back. */
const turnsMax = 8;
/** Of an id: `job_` and the time. */
const timeChars = 14;

interface Step {
  readonly manifest: ModelManifest;
  readonly payload: readonly Uint8Array[];
  readonly rows: number;
  readonly key: string | undefined;
}

interface Sent {
  readonly id: JobId;
  /** It was there already, sent by this worker or by another one. */
  readonly isFound: boolean;
  /** Where its outcome is known already. */
  readonly record?: JobRecord | undefined;
}

/** The steps of one job. */
export class JobSteps {
  readonly #parent: StepParent;
  readonly #deps: StepRunnerDeps;
  readonly #depth: number;
  /** A step names the same version as the one before it, also when another became the default meanwhile. */
  readonly #pinned = new Map<string, string>();
  readonly #running = new Set<Promise<unknown>>();

  constructor(parent: StepParent, deps: StepRunnerDeps) {
    this.#parent = parent;
    this.#deps = deps;
    this.#depth = depthOf(parent.job.claim.job);
    // One listener for each wait of each step.
    setMaxListeners(0, parent.signal);
  }

  /** The outputs asked for, or the failure of the step, with the model in its detail. Never rejects but for a bug. */
  run(request: StepRequest): Promise<Result<readonly Tensor[], Failure>> {
    const running = this.#start(request).finally(() => this.#running.delete(running));
    this.#running.add(running);
    return running;
  }

  /** Resolves when no step is under way: each has ended, or was canceled as far as the queue could be reached. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  /** Not async: what its variables hold, the tensors of the request, is not kept while the step runs. */
  #start(request: StepRequest): Promise<Result<readonly Tensor[], Failure>> {
    const resolved = this.#resolve(request);
    if (!resolved.ok) return Promise.resolve(resolved);
    const manifest = resolved.value;
    const tensors = request.tensors.map((tensor) => {
      const spec = manifest.inputs.find(({ name }) => name === tensor.name);
      return spec === undefined ? tensor : fitted(tensor, spec);
    });
    const rows = this.#rowsOf(tensors, manifest);
    if (!rows.ok) return Promise.resolve(err(about(manifest, rows.error)));
    const { outputs } = request;
    const wanted = outputs === undefined ? {} : { outputs };
    const payload = inputPieces({ form: 'tensors', tensors, ...wanted });
    const step = { manifest, payload, rows: rows.value, key: request.key };
    return this.#outcome(manifest, this.#send(step), request.key === undefined);
  }

  async #outcome(
    manifest: ModelManifest,
    sending: Promise<Result<Sent, Failure>>,
    isReadOnce: boolean,
  ): Promise<Result<readonly Tensor[], Failure>> {
    const sent = await sending;
    if (!sent.ok) return err(about(manifest, sent.error));
    const { queue } = this.#deps;
    const { job, signal } = this.#parent;
    const { id, isFound } = sent.value;
    const record = sent.value.record ?? (await queue.outcome(id, signal));
    if (record !== undefined) {
      // Nobody else knows its id. Left to expire, the outputs of steps would crowd out those of other callers.
      if (isReadOnce) void queue.erase(id);
      const outputs = outputsOf(record);
      return outputs.ok ? outputs : err(about(manifest, outputs.error));
    }
    // Somebody else has the job by now, and may have sent the step and wait for it.
    const isOthers = isFound && (job.isLost || job.isGoingBack);
    // What the queue does not hear of ends by its deadline.
    if (signal.aborted && !isOthers) await queue.cancel(id, 'The job it was a step of has ended.');
    return err(about(manifest, failure('queue_unavailable', 'The outcome did not arrive.')));
  }

  /** The version that the last such step had, but rather another one than one that is retiring, and may be gone soon. */
  #resolve({ model, version }: StepRequest): Result<ModelManifest, Failure> {
    const { resolve } = this.#deps;
    const key = `${model}@${version ?? ''}`;
    const pinned = this.#pinned.get(key);
    const resolved = resolve(model, pinned === undefined ? [version] : [pinned, version]);
    // The caller named no such model: it is the composed one that cannot be served.
    if (!resolved.ok) return err(failure('model_unavailable', resolved.error.detail));
    this.#pinned.set(key, resolved.value.version);
    return resolved;
  }

  #rowsOf(tensors: readonly Tensor[], { maxBatchSize }: ModelManifest): Result<number, Failure> {
    if (this.#depth > nestedStepsMax) {
      const detail = `Models are composed of each other more than ${nestedStepsMax} levels deep.`;
      return err(failure('model_error', detail));
    }
    const rowsMax = Math.max(1, maxBatchSize);
    const rows = maxBatchSize === 0 ? 1 : (tensors[0]?.shape[0] ?? 1);
    if (rows >= 1 && rows <= rowsMax) return ok(rows);
    const detail = `The step has ${rows} rows; the model takes 1 to ${rowsMax}.`;
    return err(failure('input_rejected', detail));
  }

  /** A step that was sent before, by another worker, is found again unless it was canceled meanwhile. */
  async #send(step: Step): Promise<Result<Sent, Failure>> {
    const { clock, queue, random } = this.#deps;
    const { job, signal } = this.#parent;
    for (let turn = 0; turn < turnsMax; turn += 1) {
      const id =
        step.key === undefined
          ? newJobId(clock.nowMs(), random)
          : sameId(job.claim.job.id, `${classOfStep(step)} ${step.key} ${turn}`);
      const enqueued = await this.#enqueue(id, step);
      if (!enqueued.ok) return enqueued;
      if (!enqueued.value.isDuplicate) return ok({ id, isFound: false });
      const record = await queue.outcome(id, signal);
      if (record?.status !== 'canceled' || signal.aborted) return ok({ id, isFound: true, record });
    }
    return err(failure('internal', 'The step was canceled again and again.'));
  }

  /** Tries on while the queue is away or full, as long as the parent has time. */
  async #enqueue(id: JobId, step: Step): Promise<Result<Enqueued, Failure>> {
    const { clock, queue } = this.#deps;
    const { signal } = this.#parent;
    const { priority, tenantWeight = 1 } = this.#parent.job.claim.job;
    const { payload } = step;
    const terms = {
      depthMax: Number.MAX_SAFE_INTEGER,
      bytesMax: Number.MAX_SAFE_INTEGER,
      tenantDepthMax: null,
      weight: flowWeight(tenantWeight, priority),
      budget: null,
    };
    for (let retryMs = firstRetryMs; ; retryMs = Math.min(lastRetryMs, retryMs * 2)) {
      const leftMs = this.#leftMs();
      if (signal.aborted || leftMs <= 0) return err(noTimeLeft());
      const span = this.#span(id, step);
      const job = this.#envelope(id, step, leftMs, span);
      const enqueued = await queue.enqueue(job, payload, terms);
      span?.end(clock.nowMs(), enqueued.ok ? null : enqueued.error.code);
      if (enqueued.ok || !passingCodes.has(enqueued.error.code)) return enqueued;
      await sleep(clock, Math.min(retryMs, leftMs), signal);
    }
  }

  #envelope(id: JobId, step: Step, leftMs: number, span: SendSpan | undefined): JobEnvelope {
    const { gatewayId, limits } = this.#deps;
    const { manifest, payload, rows } = step;
    const { priority, requestId, tenant, tenantWeight, trace } = this.#parent.job.claim.job;
    const context = span?.context ?? trace;
    return {
      v: 1,
      id,
      class: classOfStep(step),
      tenant,
      priority,
      rows,
      payloadBytes: bytesOf(payload),
      mode: 'held',
      gateway: gatewayId,
      requestId,
      admissionMs: 0,
      deadlineMs: leftMs,
      queueTimeoutMs: Math.min(leftMs, queueTimeoutOf(manifest, priority)),
      executionTimeoutMs: manifest.executionTimeoutMs,
      attemptsMax: attemptsMaxOf(manifest, limits),
      retentionMs: limits.retentionMsHeld,
      metadata: { [depthKey]: String(this.#depth) },
      ...(tenantWeight === undefined ? {} : { tenantWeight }),
      ...(context === undefined ? {} : { trace: context }),
    };
  }

  #span(id: JobId, step: Step): SendSpan | undefined {
    const { claim, span } = this.#parent.job;
    return span?.send({
      id,
      class: classOfStep(step),
      model: step.manifest.name,
      priority: claim.job.priority,
      rows: step.rows,
      payloadBytes: bytesOf(step.payload),
      startedAtMs: this.#deps.clock.nowMs(),
    });
  }

  #leftMs(): number {
    const { clock, queueClock } = this.#deps;
    return Math.floor(this.#parent.job.claim.deadlineAtMs - queueClock.toQueueMs(clock.nowMs()));
  }
}

/** The same for the same step of the same job: with the time of the job's id, and no chance. */
function sameId(parent: JobId, key: string): JobId {
  const digest = createHash('sha256').update(`${parent} ${key}`).digest();
  const random = {
    unit: () => 0,
    bytes: (count: number) => new Uint8Array(digest.subarray(0, count)),
  };
  return `${parent.slice(0, timeChars)}${newJobId(0, random).slice(timeChars)}` as JobId;
}

function classOfStep({ manifest }: Step): ClassId {
  return classOf(manifest.name, manifest.version);
}

function bytesOf(payload: readonly Uint8Array[]): number {
  return payload.reduce((sum, piece) => sum + piece.length, 0);
}

/** Levels of composed models above the steps of this job. */
function depthOf({ metadata }: JobEnvelope): number {
  const above = Number(metadata[depthKey] ?? 0);
  return (Number.isInteger(above) && above > 0 ? above : 0) + 1;
}

function outputsOf({ outcome }: JobRecord): Result<readonly Tensor[], Failure> {
  if (outcome?.output?.form === 'tensors') return ok(outcome.output.tensors);
  const error = outcome?.error ?? null;
  if (error !== null) return err(failure(error.code, error.detail));
  return err(failure('internal', 'The result of the step was removed before it could be read.'));
}

function noTimeLeft(): Failure {
  return failure('deadline_exceeded', 'No time was left for the step.');
}

function about({ name, version }: ModelManifest, { code, detail }: Failure): Failure {
  return failure(code, `Model "${name}", version ${version}: ${detail}`);
}
