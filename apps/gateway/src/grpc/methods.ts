/** The methods of the gRPC inference service, each with what answers it. */
import type { handleBidiStreamingCall, handleUnaryCall, ServerUnaryCall } from '@grpc/grpc-js';
import { type ControlOrder, type Failure, failure } from '@inferry/contracts';
import {
  checkControl,
  modelConfiguration,
  serverMetadata,
  type WireMethod,
  wireMethods,
  type WireObject,
} from '@inferry/protocols';
import { err, ok, type Result } from '@inferry/runtime';

import type { GatewayParts } from '../deps.ts';
import { metadataOf, readyModel, repositoryIndex } from '../model-state.ts';
import type { Exchange } from '../exchange.ts';
import { checkReady } from '../routes/health.ts';
import { namedRepository } from '../routes/repository.ts';
import { statisticsOf } from '../statistics.ts';
import { answerCall, type CallEnd, errorOf, trailersOf } from './call.ts';
import type { GrpcHandlers, Message } from './grpc-server.ts';
import { inferStream, inferUnary } from './infer-grpc.ts';

interface Call {
  readonly exchange: Exchange;
  readonly call: ServerUnaryCall<Message, Uint8Array>;
}

type Answer = (
  request: WireObject,
  from: Call,
) => Result<WireObject, Failure> | Promise<Result<WireObject, Failure>>;

/** Methods of Triton's service that are known and not served, and why. */
const unserved: Readonly<Record<string, string>> = {
  SystemSharedMemoryStatus: 'models run in other processes than this server',
  SystemSharedMemoryRegister: 'models run in other processes than this server',
  SystemSharedMemoryUnregister: 'models run in other processes than this server',
  CudaSharedMemoryStatus: 'models run in other processes than this server',
  CudaSharedMemoryRegister: 'models run in other processes than this server',
  CudaSharedMemoryUnregister: 'models run in other processes than this server',
  TraceSetting: 'tracing is set by the environment',
  LogSettings: 'the log level is a setting of the process',
};

export function grpcHandlers(parts: GatewayParts): GrpcHandlers {
  const answers = answersOf(parts);
  const unary = new Map<string, handleUnaryCall<Message, Uint8Array>>();
  const streams = new Map<string, handleBidiStreamingCall<Message, Uint8Array>>();
  let servicePath = '';
  for (const method of wireMethods()) {
    servicePath = method.path.slice(0, -method.name.length);
    const answer = answers[method.name];
    if (answer !== undefined) unary.set(method.path, answered(method, answer, parts));
    else if (method.isRequestStream) streams.set(method.path, inferStream(parts));
    else unary.set(method.path, inferUnary(parts));
  }
  for (const [name, why] of Object.entries(unserved)) {
    unary.set(`${servicePath}${name}`, refused(`${name} is not served: ${why}.`, parts));
  }
  return { unary, streams };
}

function answersOf(parts: GatewayParts): Readonly<Record<string, Answer>> {
  const { catalogue, version } = parts;
  return {
    ServerLive: () => ok({ live: true }),
    ServerReady: async () => ok({ ready: (await checkReady(parts)).ok }),
    // Of a model that nobody knows the protocol says the same as of one that is not ready.
    ModelReady: (request) => ok({ ready: readyModel(modelOf(request), catalogue).ok }),
    ServerMetadata: () => ok(serverMetadata(version)),
    ModelMetadata: (request) => metadataOf(modelOf(request), catalogue),
    ModelConfig(request) {
      const { name, version } = modelOf(request);
      const manifest = catalogue.resolve(name, version);
      return manifest.ok ? ok({ config: modelConfiguration(manifest.value) }) : manifest;
    },
    ModelStatistics: (request) =>
      statisticsOf(request['name'] === '' ? {} : modelOf(request), parts),
    RepositoryIndex({ ready }) {
      const entries = repositoryIndex(catalogue, { onlyReady: ready === true });
      return ok({ models: [...entries] });
    },
    RepositoryModelLoad: (request, from) => control(request, 'loaded', from, parts),
    RepositoryModelUnload: (request, from) => control(request, 'unloaded', from, parts),
  };
}

async function control(
  request: WireObject,
  want: ControlOrder['want'],
  { call, exchange }: Call,
  parts: GatewayParts,
): Promise<Result<WireObject, Failure>> {
  if (request['repository_name'] !== '') return err(namedRepository);
  const checked = checkControl({ parameters: parametersOf(request['parameters']) }, want);
  if (!checked.ok) return checked;
  const gone = new AbortController();
  if (call.cancelled) gone.abort();
  call.on('cancelled', () => gone.abort());
  const ended = await parts.control.carryOut({
    model: String(request['model_name']),
    want,
    requestId: exchange.requestId,
    peer: call.getPeer(),
    signal: gone.signal,
  });
  return ended.ok ? ok({}) : ended;
}

/** Each of a `ModelRepositoryParameter` as the value it has; undefined where it has none. */
function parametersOf(wire: unknown): Readonly<Record<string, unknown>> {
  const entries = Object.entries((wire ?? {}) as Readonly<Record<string, WireObject>>);
  return Object.fromEntries(entries.map(([name, one]) => [name, Object.values(one)[0]]));
}

function modelOf({ name, version }: WireObject): { name: string; version: string | undefined } {
  return { name: String(name), version: version === '' ? undefined : String(version) };
}

function answered(
  method: WireMethod,
  answer: Answer,
  parts: GatewayParts,
): handleUnaryCall<Message, Uint8Array> {
  return unaryCall(parts, async (message, from) => {
    const request = readRequest(method, message);
    const result = request.ok ? await answer(request.value, from) : request;
    return result.ok
      ? { ok: true, answer: { message: method.write(result.value) } }
      : { ok: false, reason: result.error };
  });
}

function refused(detail: string, parts: GatewayParts): handleUnaryCall<Message, Uint8Array> {
  const reason = failure('method_not_allowed', detail);
  return unaryCall(parts, () => Promise.resolve({ ok: false, reason }));
}

function unaryCall(
  parts: GatewayParts,
  run: (message: Buffer, from: Call) => Promise<CallEnd>,
): handleUnaryCall<Message, Uint8Array> {
  return (call, callback) => {
    void answerCall(
      call,
      parts,
      (exchange) => run(call.request.take(), { call, exchange }),
      (ended, exchange) => {
        if (ended.ok) callback(null, ended.answer.message, trailersOf(exchange));
        else callback(errorOf(ended, exchange));
      },
    );
  };
}

function readRequest(method: WireMethod, message: Buffer): Result<WireObject, Failure> {
  try {
    return ok(method.read(message));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return err(failure('invalid_input', `The message is no ${method.name}Request: ${reason}.`));
  }
}
