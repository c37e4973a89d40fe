/** `POST /v2/models/{model}/infer`: an infer request as an HTTP exchange. */
import type { Failure, JobRecord, ModelManifest } from '@inferry/contracts';
import {
  type InferAnswer,
  inferResponse,
  type InferRequest,
  jsonLengthHeader,
  parseInferRequest,
  parsePrefer,
} from '@inferry/protocols';
import type { Result } from '@inferry/runtime';

import { tenantHeader } from '../admission/tenants.ts';
import type { GatewayParts } from '../deps.ts';
import { infer, type InferEnd } from '../infer.ts';
import { jobAnswer, resultHeaders, stageTiming } from '../results/job-answer.ts';
import type { LentMemory } from './body-memory.ts';
import { packed } from './content-coding.ts';
import { answer, bodyBytesOf, type GatewayContext, onSentOf, problem } from './exchange.ts';
import { readBody } from './read-body.ts';

export async function inferOverHttp(
  c: GatewayContext,
  model: { readonly name: string; readonly version: string | undefined },
  parts: GatewayParts,
): Promise<Response> {
  const ended = await infer(
    {
      exchange: c.get('exchange'),
      model,
      tenant: c.req.header(tenantHeader),
      bodyBytes: bodyBytesOf(c),
      prefersJob: parsePrefer(c.req.header('prefer')).respondAsync,
      giveUpAtMs: undefined,
      signal: c.req.raw.signal,
      read: (manifest, memory) => readRequest(c, manifest, memory, parts),
      onSent: onSentOf(c),
    },
    parts,
  );
  switch (ended.end) {
    case 'output':
      return respond(c, ended);
    case 'failed':
      return problem(c, ended.reason, headersOf(ended.record));
    case 'deferred':
      return toComeBackFor(c, ended.record, parts);
  }
}

/** The media type is not looked at: the clients of this protocol send all kinds with their JSON. */
async function readRequest(
  c: GatewayContext,
  manifest: ModelManifest,
  memory: LentMemory,
  parts: GatewayParts,
): Promise<Result<InferRequest, Failure>> {
  const bytes = await readBody(c, memory, parts);
  if (!bytes.ok) return bytes;
  return parseInferRequest(bytes.value, manifest, {
    hasPriorities: parts.tenants !== undefined,
    allocate: memory.allocate,
    jsonLength: c.req.header(jsonLengthHeader),
  });
}

function toComeBackFor(c: GatewayContext, record: JobRecord, parts: GatewayParts): Response {
  const headers = {
    Location: `/v1/jobs/${record.job.id}`,
    'Preference-Applied': 'respond-async',
  };
  return jobAnswer(c, record, parts, { status: 202, headers });
}

async function respond(
  c: GatewayContext,
  { manifest, output, record, request }: InferEnd & { readonly end: 'output' },
): Promise<Response> {
  const timing = stageTiming(record);
  const form = formOf(inferResponse(manifest, output, request));
  const { body, headers: coding } = await packed(c, form.body);
  return answer(c, {
    status: 200,
    body,
    headers: { ...headersOf(record), ...form.headers, ...coding },
    ...(timing === undefined ? {} : { timing }),
  });
}

function headersOf(record: JobRecord | undefined): Readonly<Record<string, string>> {
  return record === undefined ? {} : { 'Job-Id': record.job.id, ...resultHeaders(record) };
}

/** JSON alone, or JSON and what its tensors say follows it. */
function formOf({ binary, json }: InferAnswer): {
  readonly body: string | Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
} {
  if (binary === undefined) return { body: json, headers: { 'Content-Type': 'application/json' } };
  const text = Buffer.from(json);
  const headers = {
    'Content-Type': 'application/octet-stream',
    [jsonLengthHeader]: String(text.length),
  };
  return { body: Buffer.concat([text, ...binary]), headers };
}
