/** The line by which a role says that it is ready, as what it says. */
import type { AppProcess } from '@inferry/testkit';

export async function readyOf(
  process: AppProcess,
): Promise<{ readonly pid: number; readonly http_port: number }> {
  const line = await process.waitForLine(/"msg":"ready"/u, 30_000);
  return JSON.parse(line) as { readonly pid: number; readonly http_port: number };
}
