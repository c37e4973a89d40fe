/**
 * The port of the gRPC inference service: connections, limits, and closing. Messages come and go as bytes;
 * `methods.ts` reads and writes them.
 */
import { createServer, type Server as NetServer } from 'node:net';

import {
  type ChannelOptions,
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
} from '@grpc/grpc-js';
import type { Limits } from '@inferry/contracts';
import type { Clock } from '@inferry/runtime';

import { listen } from '../http/node-server.ts';
import { Arrived } from './arrived.ts';
import { readGate } from './read-gate.ts';

export type Message = Arrived<Buffer>;

/** Handlers by the path of their method. */
export interface GrpcHandlers {
  readonly unary: ReadonlyMap<string, handleUnaryCall<Message, Uint8Array>>;
  readonly streams: ReadonlyMap<string, handleBidiStreamingCall<Message, Uint8Array>>;
}

/** Calls that have not ended are cut when this has passed after `close`. */
const closeMsMax = 1_000;
/** A connection whose other end is gone is noticed, and the jobs of its calls canceled, within both together. */
const keepAliveMs = 60_000;
const keepAliveAnswerMs = 20_000;
/** On one connection beside those that wait for answers, so that probes and refusals get through. */
const spareCalls = 100;
/** On its way on one connection and not taken yet; with the 64 KiB of HTTP/2 a tensor waits for every answer. */
const windowBytes = 1024 * 1024;

export class GrpcServer {
  readonly #server: Server;
  readonly #sockets: NetServer;
  readonly #clock: Clock;

  constructor(
    handlers: GrpcHandlers,
    { clock, limits }: { readonly clock: Clock; readonly limits: Limits },
  ) {
    this.#clock = clock;
    this.#server = new Server({
      ...optionsOf(limits),
      interceptors: [readGate(limits.arrivingBodiesMax, { clock, limits })],
    });
    for (const [path, handle] of handlers.unary) {
      this.#server.register(path, handle, toBuffer, arrived, 'unary');
    }
    for (const [path, handle] of handlers.streams) {
      this.#server.register(path, handle, toBuffer, arrived, 'bidi');
    }
    // The library's own listening does not tell why it failed.
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#sockets = createServer({ noDelay: true }, (socket) => {
      socket.on('error', () => socket.destroy());
      injector.injectConnection(socket);
    });
  }

  /** Rejects where the address cannot be had. */
  listen(address: { readonly host: string; readonly port: number }): Promise<{ port: number }> {
    return listen(this.#sockets, address);
  }

  /** Takes no more connections or calls; those that are open get a second to end. */
  async close(): Promise<void> {
    this.#sockets.close();
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(closeMsMax, () => {
        this.#server.forceShutdown();
        resolve();
      });
      this.#server.tryShutdown(() => {
        cancel();
        resolve();
      });
    });
  }
}

function optionsOf({ bodyBytesMax, heldRequestsMax }: Limits): ChannelOptions {
  return {
    'grpc.max_receive_message_length': bodyBytesMax,
    // Answers are bounded where they are made.
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': heldRequestsMax + spareCalls,
    'grpc.keepalive_time_ms': keepAliveMs,
    'grpc.keepalive_timeout_ms': keepAliveAnswerMs,
    'grpc-node.flow_control_window': windowBytes,
    'grpc.enable_channelz': 0,
  };
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function arrived(bytes: Buffer): Message {
  return new Arrived(bytes);
}
