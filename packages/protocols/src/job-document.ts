/** The job as its owner reads it. JSON text, not an object: tensors are written straight from bytes. */
import {
  isTerminal,
  type JobOutput,
  type JobRecord,
  partsOf,
  priorities,
} from '@inferry/contracts';
import { z } from 'zod';

import { writeJson } from './json.ts';
import { writeTensors } from './open-inference.ts';
import { jobError, jobErrorSchema } from './problem.ts';

const instant = z.iso.datetime();
const durationMs = z.int().min(0).nullable();

export const jobSchema = z
  .strictObject({
    object: z.literal('job'),
    id: z.string(),
    model: z.string(),
    model_version: z.string(),
    status: z.enum(['queued', 'running', 'succeeded', 'failed', 'canceled', 'expired']),
    done: z.boolean().describe('True once the status is final.'),
    created_at: instant,
    started_at: instant.nullable(),
    completed_at: instant.nullable(),
    deadline_at: instant,
    expires_at: instant.nullable().describe('When the result is removed.'),
    priority: z.enum(priorities),
    attempt: z.int().min(0),
    max_attempts: z.int().min(1),
    queue: z
      .strictObject({
        ahead: z
          .int()
          .min(0)
          .describe('Jobs that would start before this one if nobody else came.'),
        approximate: z
          .boolean()
          .describe('Other tenants or priorities wait too: later jobs of theirs may go first.'),
        estimated_completion_at: instant
          .nullable()
          .describe('When it should have ended; null while no worker has told what runs take.'),
        estimate_ms: durationMs.describe('The same, counted from this answer.'),
      })
      .nullable()
      .describe('Null unless queued.'),
    error: jobErrorSchema.nullable(),
    metrics: z.strictObject({
      queue_ms: durationMs,
      execution_ms: durationMs,
      total_ms: durationMs,
      batch_size: z.int().nullable(),
    }),
    metadata: z.record(z.string(), z.string()),
    urls: z.strictObject({ get: z.string(), cancel: z.string(), events: z.string() }),
    output: z
      .unknown()
      .describe(
        'Null until the job has succeeded. The document of the row; an array of them for several rows; {"outputs": [...]} for tensors.',
      ),
  })
  .meta({ description: 'One request, queued and run as an item of a batch.' });

/**
 * How long the job should still take, ms; null when that is not known. The estimate is by the clock of the
 * queue and `nowMs` by that of this process: where they differ, no more is told than from acceptance on.
 */
export function remainingMs({ etaAtMs, enqueuedAtMs }: JobRecord, nowMs: number): number | null {
  if (etaAtMs === null) return null;
  return Math.max(0, Math.min(etaAtMs - nowMs, etaAtMs - enqueuedAtMs));
}

/** `baseUrl` has no slash at its end; empty for URLs that are paths only. */
export function jobDocument(
  record: JobRecord,
  context: { readonly baseUrl: string; readonly nowMs: number },
): string {
  const { job, outcome } = record;
  const timings = outcome?.timings ?? null;
  const { model, version } = partsOf(job.class);
  const url = `${context.baseUrl}/v1/jobs/${job.id}`;
  const document: Omit<z.infer<typeof jobSchema>, 'output'> = {
    object: 'job',
    id: job.id,
    model,
    model_version: version,
    status: record.status,
    done: isTerminal(record.status),
    created_at: timestamp(record.enqueuedAtMs),
    started_at: optionalTimestamp(record.startedAtMs),
    completed_at: optionalTimestamp(record.settledAtMs),
    deadline_at: timestamp(record.deadlineAtMs),
    expires_at: optionalTimestamp(record.expiresAtMs),
    priority: job.priority,
    attempt: record.attempt,
    max_attempts: job.attemptsMax,
    queue: queueMember(record, context.nowMs),
    error: jobError(record),
    metrics: {
      queue_ms: elapsed(record.enqueuedAtMs, record.startedAtMs),
      execution_ms: timings === null ? null : Math.round(timings.computeMs),
      total_ms: elapsed(record.enqueuedAtMs, record.settledAtMs),
      batch_size: outcome?.batchRows ?? null,
    },
    metadata: job.metadata,
    urls: { get: url, cancel: `${url}/cancel`, events: `${url}/events` },
  };
  const output = outcome?.output ?? null;
  const text = output === null ? 'null' : writeOutput(output);
  return `${JSON.stringify(document).slice(0, -1)},"output":${text}}`;
}

function queueMember(record: JobRecord, nowMs: number): z.infer<typeof jobSchema>['queue'] {
  const { ahead, isAheadApproximate, etaAtMs } = record;
  if (ahead === null) return null;
  const leftMs = remainingMs(record, nowMs);
  return {
    ahead,
    approximate: isAheadApproximate,
    estimated_completion_at: optionalTimestamp(etaAtMs),
    estimate_ms: leftMs === null ? null : Math.ceil(leftMs),
  };
}

/** The member `output` of a job, or of an event that tells a part of it. */
export function writeOutput(output: JobOutput): string {
  if (output.form === 'tensors') return `{"outputs":${writeTensors(output.tensors)}}`;
  const [only, ...others] = output.rows;
  return writeJson(only !== undefined && others.length === 0 ? only : output.rows);
}

function timestamp(atMs: number): string {
  return new Date(atMs).toISOString();
}

function optionalTimestamp(atMs: number | null): string | null {
  return atMs === null ? null : timestamp(atMs);
}

function elapsed(fromMs: number, untilMs: number | null): number | null {
  return untilMs === null ? null : Math.max(0, Math.round(untilMs - fromMs));
}
