/** Can the ports of a role be listened on, or does an Inferry already? */
import { createServer } from 'node:http';
import type { Config } from '../config.ts';
import { listening } from '../roles/ports.ts';
import { bad, fine, type Finding } from './check.ts';

const probeMsMax = 2_000;

export async function checkPorts({
  host,
  metricsPort,
  port,
}: Pick<Config, 'host' | 'port' | 'metricsPort'>): Promise<readonly Finding[]> {
  if (port === metricsPort && port !== 0) {
    const detail = `PORT and METRICS_PORT are both ${port}, and each needs its own`;
    return [bad('Ports', detail, 'choose another for one of them')];
  }
  return [await checkPort('PORT', host, port), await checkPort('METRICS_PORT', host, metricsPort)];
}

async function checkPort(
  setting: 'PORT' | 'METRICS_PORT',
  host: string,
  port: number,
): Promise<Finding> {
  const name = setting === 'PORT' ? 'Port for callers' : 'Port for operators';
  if (port === 0) return fine(name, 'a free one will be picked');
  const tried = await listening(setting, { host, port }, () => listenOnce(host, port));
  const shown = `${inUrl(host)}:${port}`;
  if (tried.ok) return fine(name, `${shown} is free`);
  const [reason = ''] = tried.error;
  if (reason.includes('EACCES')) return bad(name, reason, `choose another with ${setting}`);
  if (!reason.includes('EADDRINUSE')) return bad(name, reason, 'correct HOST');
  if (await isInferry(host, port)) return fine(name, `Inferry answers on ${shown}`);
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

/** Both ports have a probe of liveness with the same answer. */
async function isInferry(host: string, port: number): Promise<boolean> {
  const address = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : inUrl(host);
  try {
    const response = await fetch(`http://${address}:${port}/livez`, {
      signal: AbortSignal.timeout(probeMsMax),
    });
    const body: unknown = await response.json();
    return typeof body === 'object' && body !== null && 'live' in body;
  } catch {
    return false;
  }
}
