/** An infer request as an HTTP exchange, in the words of its protocol; those of Open Inference v2 are here. */
import type { Failure, JobOutput, JobRecord, ModelManifest } from '@inferry/contracts';
import {
  type Allocate,
  type InferAnswer,
  inferResponse,
  type InferRequest,
  jsonLengthHeader,
  parseInferRequest,
  parsePrefer,
} from '@inferry/protocols';
import { ok, type Result } from '@inferry/runtime';

import { tenantHeader } from '../admission/tenants.ts';
import type { GatewayParts } from '../deps.ts';
import { type Asked, infer, type InferEnd, type InferWork } from '../infer.ts';
import { jobAnswer, resultHeaders, stageTiming } from '../results/job-answer.ts';
import type { LentMemory } from './body-memory.ts';
import { packed } from './content-coding.ts';
import { answer, bodyBytesOf, type GatewayContext, onSentOf, problem } from './exchange.ts';
import { readBody } from './read-body.ts';

/** How a protocol says an infer request and its answer. */
export interface InferCodec<Request extends InferWork> {
  parse(
    body: Uint8Array,
    manifest: ModelManifest,
    context: {
      readonly hasPriorities: boolean;
      readonly allocate: Allocate;
      readonly header: (name: string) => string | undefined;
    },
  ): Result<Request, Failure>;
  /** The error is a request that turns out to be asking for what the model does not give. */
  write(
    manifest: ModelManifest,
    output: JobOutput,
    request: Asked<Request>,
  ): Result<WrittenAnswer, Failure>;
}

interface WrittenAnswer {
  readonly body: string | Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** RFC 9211: the answer was kept from an earlier request. */
export const fromCache = 'inferry; hit';

export const openInference: InferCodec<InferRequest> = {
  parse: (body, manifest, { header, ...context }) =>
    parseInferRequest(body, manifest, { ...context, jsonLength: header(jsonLengthHeader) }),
  write: (manifest, output, request) => ok(formOf(inferResponse(manifest, output, request))),
};

export async function inferOverHttp<Request extends InferWork>(
  c: GatewayContext,
  model: { readonly name: string; readonly version: string | undefined },
  codec: InferCodec<Request>,
  parts: GatewayParts,
): Promise<Response> {
  const ended = await infer<Request>(
    {
      exchange: c.get('exchange'),
      model,
      tenant: c.req.header(tenantHeader),
      bodyBytes: bodyBytesOf(c),
      prefersJob: parsePrefer(c.req.header('prefer')).respondAsync,
      giveUpAtMs: undefined,
      signal: c.req.raw.signal,
      read: (manifest, memory) => readRequest(c, { codec, manifest, memory }, parts),
      onSent: onSentOf(c),
    },
    parts,
  );
  switch (ended.end) {
    case 'output':
      return respond(c, ended, codec);
    case 'failed':
      return problem(c, ended.reason, headersOf(ended.record));
    case 'deferred':
      return toComeBackFor(c, ended.record, parts);
  }
}

/** The media type is not looked at: the clients of these protocols send all kinds with their JSON. */
async function readRequest<Request extends InferWork>(
  c: GatewayContext,
  {
    codec,
    manifest,
    memory,
  }: {
    readonly codec: InferCodec<Request>;
    readonly manifest: ModelManifest;
    readonly memory: LentMemory;
  },
  parts: GatewayParts,
): Promise<Result<Request, Failure>> {
  const bytes = await readBody(c, memory, parts);
  if (!bytes.ok) return bytes;
  return codec.parse(bytes.value, manifest, {
    hasPriorities: parts.tenants !== undefined,
    allocate: memory.allocate,
    header: (name) => c.req.header(name),
  });
}

function toComeBackFor(c: GatewayContext, record: JobRecord, parts: GatewayParts): Response {
  const headers = {
    Location: `/v1/jobs/${record.job.id}`,
    'Preference-Applied': 'respond-async',
  };
  return jobAnswer(c, record, parts, { status: 202, headers });
}

async function respond<Request extends InferWork>(
  c: GatewayContext,
  { manifest, output, record, request }: InferEnd<Request> & { readonly end: 'output' },
  codec: InferCodec<Request>,
): Promise<Response> {
  const timing = record === undefined ? undefined : stageTiming(record);
  const written = codec.write(manifest, output, request);
  if (!written.ok) return problem(c, written.error, headersOf(record));
  const { body, headers: coding } = await packed(c, written.value.body);
  const told = record === undefined ? { 'Cache-Status': fromCache } : headersOf(record);
  return answer(c, {
    status: 200,
    body,
    headers: { ...told, ...written.value.headers, ...coding },
    ...(timing === undefined ? {} : { timing }),
  });
}

function headersOf(record: JobRecord | undefined): Readonly<Record<string, string>> {
  return record === undefined ? {} : { 'Job-Id': record.job.id, ...resultHeaders(record) };
}

/** JSON alone, or JSON and what its tensors say follows it. */
function formOf({ binary, json }: InferAnswer): WrittenAnswer {
  if (binary === undefined) return { body: json, headers: { 'Content-Type': 'application/json' } };
  const text = Buffer.from(json);
  const headers = {
    'Content-Type': 'application/octet-stream',
    [jsonLengthHeader]: String(text.length),
  };
  return { body: Buffer.concat([text, ...binary]), headers };
}
