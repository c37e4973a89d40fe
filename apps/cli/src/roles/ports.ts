/** Listening on a port, with the one failure an operator can mend told in their words. */
import { err, ok, type Result } from '@inferry/runtime';

/** `setting` is the name of what chose the port, e.g. `METRICS_PORT`. Errors that are bugs are thrown on. */
export async function listening<T>(
  setting: 'PORT' | 'METRICS_PORT',
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

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process does already; choose another port, or 0 for a free one',
  EACCES: 'this user may not; ports from 1024 on are open to everybody',
  EADDRNOTAVAIL: 'HOST is not an address of this machine',
  ENOTFOUND: 'HOST is not a known name',
  EAI_AGAIN: 'the name of HOST cannot be resolved now',
};
