/** `ModelInfer` and `ModelStreamInfer`: infer requests as gRPC calls, and as messages of one. */
import { setMaxListeners } from 'node:events';

import type {
  handleBidiStreamingCall,
  handleUnaryCall,
  ServerDuplexStream,
  ServerUnaryCall,
} from '@grpc/grpc-js';
import { emitsPartials, failure, type JobRecord } from '@inferry/contracts';
import {
  bindWireRequest,
  readInferRequest,
  takeFinalFlag,
  type WireInferRequest,
  writeInferResponse,
  writeStreamAnswer,
  writeStreamError,
} from '@inferry/protocols';
import { invariant } from '@inferry/runtime';

import { tenantHeader } from '../admission/tenants.ts';
import type { GatewayParts } from '../deps.ts';
import type { Exchange } from '../exchange.ts';
import { infer, type InferCall } from '../infer.ts';
import { fromCache } from '../http/infer-http.ts';
import { resultHeaders } from '../results/job-answer.ts';
import { Arrived } from './arrived.ts';
import {
  answerCall,
  type CallEnd,
  documentOf,
  errorOf,
  giveUpAtMs,
  goneSignal,
  header,
  type SurfaceCall,
  trailersOf,
} from './call.ts';
import type { Message } from './grpc-server.ts';

/** Requests of one stream that are worked on at a time; the next are not read. */
const streamWidth = 32;
/** Streams at a time, each of which may have a message arriving. */
const streamsMax = 256;

export function inferUnary(parts: GatewayParts): handleUnaryCall<Message, Uint8Array> {
  return (call: ServerUnaryCall<Message, Uint8Array>, callback) => {
    const gone = goneSignal(call, parts);
    const sent = new SentCallbacks();
    const run = async (exchange: Exchange): Promise<CallEnd> => {
      const wire = readInferRequest(call.request.take());
      return wire.ok
        ? inferOnce({ call, gone, exchange, ...partsOf(wire.value), onSent: sent.add }, parts)
        : { ok: false, reason: wire.error };
    };
    void answerCall(call, parts, run, (ended, exchange) => {
      if (ended.ok) {
        callback(null, ended.answer.message, trailersOf(exchange, ended.answer.trailers));
        if (!call.cancelled) sent.run();
      } else callback(errorOf(ended, exchange));
    });
  };
}

/** Requests are answered in their order, each as soon as those before it are. One that fails leaves the stream open. */
export function inferStream(parts: GatewayParts): handleBidiStreamingCall<Message, Uint8Array> {
  let open = 0;
  return (call: ServerDuplexStream<Message, Uint8Array>) => {
    if (open >= streamsMax) {
      const reason = failure(
        'queue_full',
        `This server has ${streamsMax} streams open (its limit).`,
      );
      void answerCall(
        call,
        parts,
        () => Promise.resolve({ ok: false, reason }),
        (ended, exchange) => {
          if (!ended.ok) call.emit('error', errorOf(ended, exchange));
        },
      );
      return;
    }
    open += 1;
    const gone = goneSignal(call, parts);
    // Each request that is worked on waits for it.
    setMaxListeners(streamWidth, gone);
    let running = 0;
    let tail = Promise.resolve();
    let isOver = false;
    const over = (): void => {
      if (!isOver) open -= 1;
      isOver = true;
    };
    call.on('data', (message: Message) => {
      running += 1;
      if (running >= streamWidth) call.pause();
      const before = tail;
      tail = answerInStream({ call, gone, message, before }, parts).finally(() => {
        running -= 1;
        if (running < streamWidth) call.resume();
      });
    });
    const finish = async (): Promise<void> => {
      await tail;
      over();
      call.end();
    };
    call.on('end', () => void finish());
    call.on('cancelled', over);
    call.on('error', over);
  };
}

async function answerInStream(
  {
    before,
    call,
    gone,
    message,
  }: {
    readonly call: ServerDuplexStream<Message, Uint8Array>;
    readonly gone: AbortSignal;
    readonly message: Message;
    /** The answers to the requests in front of this one. */
    readonly before: Promise<void>;
  },
  parts: GatewayParts,
): Promise<void> {
  const sent = new SentCallbacks();
  let told: Pick<WireInferRequest, 'id' | 'model'> = { id: undefined, model: '' };
  const run = async (exchange: Exchange): Promise<CallEnd> => {
    const read = readInferRequest(message.take());
    if (!read.ok) return { ok: false, reason: read.error };
    const { id, model } = read.value;
    told = { id, model };
    const { wantsFinal, wire } = takeFinalFlag(read.value);
    const stream = { wantsFinal, tell };
    return inferOnce({ call, gone, exchange, ...partsOf(wire), stream, onSent: sent.add }, parts);
  };
  // As fast as its caller reads, and behind the answers to the requests in front.
  const tell = async (part: Uint8Array): Promise<void> => {
    await before;
    if (!call.cancelled && !call.write(writeStreamAnswer(part))) await drained(call);
  };
  let answer: Uint8Array = new Uint8Array();
  let isOk = false;
  // The request is over when its answer is known: a caller that does not read it would hold up a drain.
  await answerCall(call, parts, run, (ended, exchange) => {
    isOk = ended.ok;
    answer = ended.ok
      ? writeStreamAnswer(ended.answer.message)
      : writeStreamError(documentOf(ended.reason, exchange).detail, told);
  });
  await before;
  if (call.cancelled) return;
  if (!call.write(answer)) await drained(call);
  if (isOk && !call.cancelled) sent.run();
}

/** Until the caller has read what was written, or is gone. */
function drained(call: ServerDuplexStream<Message, Uint8Array>): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      call.off('drain', done).off('cancelled', done);
      resolve();
    };
    call.on('drain', done).on('cancelled', done);
    if (call.cancelled) done();
  });
}

interface OneRequest {
  readonly call: SurfaceCall;
  readonly gone: AbortSignal;
  readonly exchange: Exchange;
  readonly model: InferCall['model'];
  /** Its tensors are raw. */
  readonly isRaw: boolean;
  readonly wire: Arrived<WireInferRequest>;
  /** Undefined where there is one answer. */
  readonly stream?: {
    /** Asks to be told which answer is the last. */
    readonly wantsFinal: boolean;
    /** Takes an answer that is a part of the whole. */
    readonly tell: (part: Uint8Array) => Promise<void>;
  };
  readonly onSent: InferCall['onSent'];
}

/** What is known of a request for as long as it waits, and all of it, until it is read. */
function partsOf(wire: WireInferRequest): Pick<OneRequest, 'model' | 'isRaw' | 'wire'> {
  const { model: name, raw, version } = wire;
  return { model: { name, version }, isRaw: raw.length > 0, wire: new Arrived(wire) };
}

async function inferOnce(
  { call, exchange, gone, isRaw, model, onSent, stream, wire }: OneRequest,
  parts: GatewayParts,
): Promise<CallEnd> {
  const hasPriorities = parts.tenants !== undefined;
  const ended = await infer(
    {
      exchange,
      model,
      tenant: header(call.metadata, tenantHeader),
      // It is here already.
      bodyBytes: 0,
      prefersJob: false,
      giveUpAtMs: giveUpAtMs(call),
      signal: gone,
      read: (manifest) =>
        Promise.resolve(bindWireRequest(wire.take(), manifest, { hasPriorities })),
      onSent,
      ...(stream === undefined
        ? {}
        : {
            onPartial: (output, { manifest, request }) =>
              stream.tell(writeInferResponse(manifest, output, { isFinal: false, isRaw, request })),
          }),
    },
    parts,
  );
  invariant(ended.end !== 'deferred', 'who does not prefer a job gets none');
  if (ended.end === 'failed') {
    const { reason, record } = ended;
    return {
      ok: false,
      reason,
      ...(record === undefined ? {} : { trailers: jobTrailers(record) }),
    };
  }
  const { manifest, output, record, request } = ended;
  const saysFinal = stream !== undefined && (stream.wantsFinal || emitsPartials(manifest));
  const isFinal = saysFinal ? true : undefined;
  const message = writeInferResponse(manifest, output, { isFinal, isRaw, request });
  const trailers = record === undefined ? { 'cache-status': fromCache } : jobTrailers(record);
  return { ok: true, answer: { message, trailers } };
}

function jobTrailers(record: JobRecord): Readonly<Record<string, string>> {
  return { 'job-id': record.job.id, ...resultHeaders(record) };
}

/** What waits for an answer to be sent. */
class SentCallbacks {
  readonly #callbacks: (() => void)[] = [];

  readonly add = (callback: () => void): void => {
    this.#callbacks.push(callback);
  };

  run(): void {
    for (const callback of this.#callbacks) callback();
  }
}
