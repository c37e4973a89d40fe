/** From the name of a role to what starts it. */
import type { Role } from '../settings.ts';
import type { StartRole } from './role.ts';

/** Loaded one by one: a gateway starts where the native code of workers is not installed. */
export async function startOf(role: Role): Promise<StartRole> {
  switch (role) {
    case 'serve':
      return (await import('./serve.ts')).startServe;
    case 'gateway':
      return (await import('./gateway.ts')).startGateway;
    case 'worker':
      return (await import('./worker.ts')).startWorker;
  }
}
