/**
 * Triton's `generate` and `generate_stream`. The latter is an infer request whose partial outputs and answer are
 * events of a stream. Its status is that of what comes first, so that a refused request is refused with a status.
 */
import type { Failure, ModelManifest } from '@inferry/contracts';
import {
  eventText,
  generateResponse,
  type InferRequest,
  parseGenerate,
  problemDocument,
} from '@inferry/protocols';
import { err, invariant, ok, type Result } from '@inferry/runtime';

import { tenantHeader } from '../admission/tenants.ts';
import type { GatewayParts } from '../deps.ts';
import { bodyBytesOf, type GatewayContext, onSentOf, problem } from '../http/exchange.ts';
import type { LentMemory } from '../http/body-memory.ts';
import type { InferCodec } from '../http/infer-http.ts';
import { readBody } from '../http/read-body.ts';
import { infer, type InferEnd } from '../infer.ts';
import { Handover } from './handover.ts';
import type { StreamPlace } from './stream-places.ts';
import { streamResponse } from './stream-response.ts';

export const generateCodec: InferCodec<InferRequest> = {
  parse: parseGenerate,
  write: (manifest, output, request) =>
    ok({
      body: generateResponse(manifest, output, request),
      headers: { 'Content-Type': 'application/json' },
    }),
};

export async function generateStream(
  c: GatewayContext,
  model: { readonly name: string; readonly version: string | undefined },
  parts: GatewayParts,
): Promise<Response> {
  const taken: { place?: StreamPlace } = {};
  const answers = new Handover<string>();
  const gone = new AbortController();
  const leave = (): void => {
    gone.abort();
    answers.close();
  };
  c.req.raw.signal.addEventListener('abort', leave, { once: true });
  const ended = infer(
    {
      exchange: c.get('exchange'),
      model,
      tenant: c.req.header(tenantHeader),
      bodyBytes: bodyBytesOf(c),
      prefersJob: false,
      giveUpAtMs: undefined,
      signal: gone.signal,
      async read(manifest, memory) {
        const request = await readRequest(c, manifest, memory, parts);
        if (!request.ok) return request;
        // Not before: a body may be long on its way.
        const place = parts.streams.reserve();
        if (place === undefined) return err(parts.streams.refusal());
        taken.place = place;
        return request;
      },
      onSent: onSentOf(c),
      onPartial: (output, { manifest, request }) =>
        answers.give(generateResponse(manifest, output, request)),
    },
    parts,
  ).finally(() => answers.close());
  // Whoever waits for it hears of it.
  ended.catch(() => undefined);
  try {
    const first = await answers.take();
    if (first === undefined) {
      const end = await ended;
      if (end.end !== 'output') {
        taken.place?.release();
        invariant(end.end === 'failed', 'who does not prefer a job gets none');
        return problem(c, end.reason);
      }
    }
    const { place } = taken;
    invariant(place !== undefined, 'what has an answer has a place');
    // Its answer is waited for as that of any infer request, also by a server that is going.
    return streamResponse(
      c,
      { release: place.release },
      (signal) => textsOf(c, { answers, ended, first, leave, signal }),
      parts,
    );
  } catch (cause) {
    taken.place?.release();
    throw cause;
  }
}

async function readRequest(
  c: GatewayContext,
  manifest: ModelManifest,
  memory: LentMemory,
  parts: GatewayParts,
): Promise<Result<InferRequest, Failure>> {
  const bytes = await readBody(c, memory, parts);
  if (!bytes.ok) return bytes;
  const hasPriorities = parts.tenants !== undefined;
  return parseGenerate(bytes.value, manifest, { allocate: memory.allocate, hasPriorities });
}

async function* textsOf(
  c: GatewayContext,
  {
    answers,
    ended,
    first,
    leave,
    signal,
  }: {
    readonly answers: Handover<string>;
    readonly ended: Promise<InferEnd>;
    readonly first: string | undefined;
    readonly leave: () => void;
    readonly signal: AbortSignal;
  },
): AsyncGenerator<string, void> {
  signal.addEventListener('abort', leave, { once: true });
  if (signal.aborted) leave();
  for (let data = first; data !== undefined; data = await answers.take()) {
    yield eventText({ data });
  }
  const end = await ended;
  if (signal.aborted) return;
  if (end.end === 'output') {
    yield eventText({ data: generateResponse(end.manifest, end.output, end.request) });
  } else if (end.end === 'failed') {
    const { requestId, surface } = c.get('exchange');
    const { body } = problemDocument(end.reason, { requestId, instance: c.req.path, surface });
    yield eventText({ data: JSON.stringify({ error: body['detail'] }) });
  }
}
