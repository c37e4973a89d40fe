/** `inferry models pull` and `push`: from their words to what they did. */
import { err, ok, type Result } from '@inferry/runtime';
import type { Invocation } from './arguments.ts';
import type { PushDeps } from './push/push.ts';

/** The exit code; the error is one of usage. */
export async function transferModel(
  name: 'models pull' | 'models push',
  invocation: Invocation,
  deps: PushDeps,
): Promise<Result<number, string>> {
  if (name === 'models pull') {
    const { parsePullOptions } = await import('./pull/options.ts');
    const options = parsePullOptions(invocation);
    if (!options.ok) return err(options.error.join('\ninferry: '));
    const { pullModel } = await import('./pull/pull.ts');
    return ok(await pullModel(options.value, deps));
  }
  const { parsePushOptions } = await import('./push/options.ts');
  const options = parsePushOptions(invocation);
  if (!options.ok) return err(options.error.join('\ninferry: '));
  const { pushModel } = await import('./push/push.ts');
  return ok(await pushModel(options.value, deps));
}
