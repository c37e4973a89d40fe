/** What of the environment is no setting, though it was meant as one, or ends a process when it starts. */
import { tracingSettings } from '@inferry/telemetry';
import { type Environment, nearMisses } from '../config.ts';
import { bad, doubtful, fine, type Finding } from './check.ts';

export async function checkEnvironment(env: Environment): Promise<readonly Finding[]> {
  const misspelt = nearMisses(env).map(({ meant, name }) =>
    doubtful('Settings', `${name} is not a setting`, `rename it to ${meant}, if that was meant`),
  );
  const tracing = tracingSettings(env);
  if (!tracing.ok) {
    return [...misspelt, bad('Tracing', tracing.error, 'correct it, or unset it for no tracing')];
  }
  if (tracing.value === undefined) return misspelt;
  return [...misspelt, fine('Tracing', `spans go to ${tracing.value.host}`)];
}
