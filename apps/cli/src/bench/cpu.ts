/** CPU time of processes that have Prometheus metrics, and of this one. */
import { parseExposition } from '@inferry/telemetry';
import type { HttpPort } from './http.ts';
import type { CpuUse } from './measure.ts';

/** What every Prometheus client library calls it. */
const metricName = 'process_cpu_seconds_total';
const timeoutMs = 2_000;

export interface CpuReader {
  /** Those of `urls` that answered with CPU time. */
  readonly urls: readonly URL[];
  /** For each that did not, one line that says so. */
  readonly remarks: readonly string[];
  readonly read: () => Promise<CpuUse>;
}

/** Asks each URL once; those that tell nothing are left out from then on. */
export async function openCpuReader(
  urls: readonly URL[],
  { http, ownCpuMs }: { readonly http: HttpPort; readonly ownCpuMs: () => number },
): Promise<CpuReader> {
  const first = await Promise.all(urls.map((url) => readOne(url, http)));
  const told = urls.filter((_, i) => typeof first[i] === 'number');
  return {
    urls: told,
    remarks: urls.flatMap((url, i) =>
      typeof first[i] === 'string' ? [`no CPU time from ${url.href}: ${first[i]}`] : [],
    ),
    async read() {
      const values = await Promise.all(told.map((url) => readOne(url, http)));
      const servers = values.map((value) => (typeof value === 'number' ? value : null));
      return { client: ownCpuMs(), servers };
    },
  };
}

/** Milliseconds of CPU the process has used so far, or why they are not known. */
async function readOne(url: URL, http: HttpPort): Promise<number | string> {
  const path = `${url.pathname}${url.search}`;
  const answer = await http.send(
    { method: 'GET', origin: url.origin, path, headers: {}, body: null },
    timeoutMs,
  );
  if (!answer.ok) return answer.error.detail;
  if (answer.value.status !== 200) return `status ${answer.value.status}`;
  const samples = parseExposition(Buffer.from(answer.value.body).toString('utf8'));
  const own = [...samples].filter(([series]) => series.split('{', 1)[0] === metricName);
  if (own.length === 0) return `there is no ${metricName}`;
  return own.reduce((sum, [, seconds]) => sum + seconds, 0) * 1_000;
}
