/** Listening on a port, with the one failure an operator can mend told in their words. */
import type { Gateway } from '@inferry/gateway';
import { err, ok, type Result } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import type { Config } from '../config.ts';

/** `setting` is the name of what chose the port, e.g. `METRICS_PORT`. Errors that are bugs are thrown on. */
export async function listening<T>(
  setting: 'PORT' | 'GRPC_PORT' | 'METRICS_PORT',
  { host, port }: { readonly host: string; readonly port: number },
  listen: () => Promise<T>,
): Promise<Result<T, readonly string[]>> {
  try {
    return ok(await listen());
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    const reason = reasons[code];
    if (reason === undefined) throw cause;
    return err([`${setting}: cannot listen on ${host}:${port}: ${reason} (${code})`]);
  }
}

interface CallerPorts {
  readonly httpPort: number;
  /** Null where gRPC is off. */
  readonly grpcPort: number | null;
}

/** A gateway takes requests from now on: over HTTP, and over gRPC where that is wanted. */
export async function openToCallers(
  gateway: Gateway,
  { grpcPort: wanted, host, port }: Pick<Config, 'grpcPort' | 'host' | 'port'>,
  logger: Logger,
): Promise<Result<CallerPorts, readonly string[]>> {
  const http = await listening('PORT', { host, port }, () => gateway.listen({ host, port }));
  if (!http.ok) return http;
  const httpPort = http.value.port;
  const grpcAddress = wanted === 'off' ? undefined : { host, port: wanted };
  const grpc =
    grpcAddress === undefined
      ? undefined
      : await listening('GRPC_PORT', grpcAddress, () => gateway.listenGrpc(grpcAddress));
  if (grpc !== undefined && !grpc.ok) return grpc;
  const grpcPort = grpc?.value.port ?? null;
  logger.info({ host, http_port: httpPort, grpc_port: grpcPort }, 'listening');
  return ok({ httpPort, grpcPort });
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process does already; choose another port, or 0 for a free one',
  EACCES: 'this user may not; ports from 1024 on are open to everybody',
  EADDRNOTAVAIL: 'HOST is not an address of this machine',
  ENOTFOUND: 'HOST is not a known name',
  EAI_AGAIN: 'the name of HOST cannot be resolved now',
};
