/** From the name of a role to what starts it. */
import type { Config } from '../config.ts';
import { isS3 } from '../sources/s3-location.ts';
import type { Role } from '../settings.ts';
import type { StartRole } from './role.ts';

/** `env` says how S3 is reached, where the models lie there. */
export async function startOf(
  { modelsDir, role }: Pick<Config, 'modelsDir' | 'role'>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<StartRole> {
  const start = await load(role);
  if (!isS3(modelsDir)) return start;
  const { startFromS3 } = await import('./from-s3.ts');
  return startFromS3(start, env);
}

/** One by one: a gateway starts where the native code of workers is not installed. */
async function load(role: Role): Promise<StartRole> {
  switch (role) {
    case 'serve':
      return (await import('./serve.ts')).startServe;
    case 'gateway':
      return (await import('./gateway.ts')).startGateway;
    case 'worker':
      return (await import('./worker.ts')).startWorker;
  }
}
