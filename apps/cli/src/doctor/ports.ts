/** Can the ports of a role be listened on, or does an Inferry already? */
import { createServer } from 'node:http';
import { connect } from 'node:http2';
import type { Config } from '../config.ts';
import { listening } from '../roles/ports.ts';
import { bad, fine, type Finding } from './check.ts';

const probeMsMax = 2_000;

const names = {
  PORT: 'Port for callers',
  GRPC_PORT: 'Port for gRPC',
  METRICS_PORT: 'Port for operators',
} as const;

interface Port {
  readonly setting: keyof typeof names;
  readonly port: number;
}

export async function checkPorts({
  host,
  grpcPort,
  metricsPort,
  port,
}: Pick<Config, 'host' | 'port' | 'grpcPort' | 'metricsPort'>): Promise<readonly Finding[]> {
  const ports: readonly Port[] = [
    { setting: 'PORT', port },
    ...(grpcPort === 'off' ? [] : [{ setting: 'GRPC_PORT', port: grpcPort } as const]),
    { setting: 'METRICS_PORT', port: metricsPort },
  ];
  const findings: Finding[] = [];
  for (const [i, { port: wanted, setting }] of ports.entries()) {
    const other = ports.slice(0, i).find((one) => one.port === wanted && wanted !== 0);
    findings.push(
      other === undefined
        ? await checkPort(setting, host, wanted)
        : bad(
            names[setting],
            `${wanted} is that of ${other.setting} too`,
            `choose another with ${setting}`,
          ),
    );
  }
  return findings;
}

async function checkPort(
  setting: keyof typeof names,
  host: string,
  port: number,
): Promise<Finding> {
  const name = names[setting];
  if (port === 0) return fine(name, 'a free one will be picked');
  const tried = await listening(setting, { host, port }, () => listenOnce(host, port));
  const shown = `${inUrl(host)}:${port}`;
  if (tried.ok) return fine(name, `${shown} is free`);
  const [reason = ''] = tried.error;
  if (reason.includes('EACCES')) return bad(name, reason, `choose another with ${setting}`);
  if (!reason.includes('EADDRINUSE')) return bad(name, reason, 'correct HOST');
  const isOurs = setting === 'GRPC_PORT' ? isInferryGrpc : isInferry;
  if (await isOurs(reachable(host), port)) return fine(name, `Inferry answers on ${shown}`);
  const remedy = `stop what listens there, or choose another with ${setting}`;
  return bad(name, `something else listens on ${shown}`, remedy);
}

function listenOnce(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, host, () => server.close(() => resolve()));
  });
}

/** An IPv6 address stands in brackets before a port. */
function inUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** The ports of HTTP have a probe of liveness with the same answer. */
async function isInferry(host: string, port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://${host}:${port}/livez`, {
      signal: AbortSignal.timeout(probeMsMax),
    });
    const body: unknown = await response.json();
    return typeof body === 'object' && body !== null && 'live' in body;
  } catch {
    return false;
  }
}

/** Asks whether the server lives; the answer is a status behind an answer of HTTP/2. */
function isInferryGrpc(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const session = connect(`http://${host}:${port}`);
    const finish = (isLive: boolean): void => {
      session.destroy();
      resolve(isLive);
    };
    session.setTimeout(probeMsMax, () => finish(false));
    session.on('error', () => finish(false));
    const request = session.request({
      ':method': 'POST',
      ':path': '/inference.GRPCInferenceService/ServerLive',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    request
      .on('error', () => finish(false))
      .on('end', () => finish(false))
      .resume();
    request.on('trailers', (trailers) => finish(trailers['grpc-status'] === '0'));
    // An empty message: not compressed, of no length.
    request.end(Buffer.alloc(5));
  });
}

function reachable(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : inUrl(host);
}
