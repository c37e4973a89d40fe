/** The recorded series by which a cluster scales, out of Prometheus' HTTP API. */
import { partsOf, type ClassId } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import type { HttpPort } from '../bench/http.ts';
import type { QueueDemand } from './advice.ts';

/** As infra/prometheus/rules/inferry.yml records them. */
const backlogSeries = 'queue:inferry_queue_backlog_work_seconds:max';
const loadSeries = 'queue:inferry_offered_load_workers:rate2m';

const answerMsMax = 10_000;

export interface Group {
  /** The classes that have to be there; null: all that there are. */
  readonly classes: readonly string[] | null;
  /** Of which models; null: all. */
  readonly only: readonly string[] | null;
}

/** The demand of a group of queues. A series that is missing is an error and not 0. */
export async function readPrometheus(
  url: URL,
  { classes, only }: Group,
  http: HttpPort,
): Promise<Result<readonly QueueDemand[], string>> {
  const backlog = await query(url, backlogSeries, http);
  if (!backlog.ok) return backlog;
  const load = await query(url, loadSeries, http);
  if (!load.ok) return load;
  const isOfGroup = (queue: string): boolean =>
    only === null || only.includes(partsOf(queue as ClassId).model);
  const queues = classes ?? [...backlog.value.keys()].filter(isOfGroup).toSorted();
  const known = queues.map((queue) => partsOf(queue as ClassId).model);
  const unknown = only?.find((name) => !known.includes(name));
  if (unknown !== undefined) return err(`${url.href} has no queue of the model "${unknown}"`);
  const demands: QueueDemand[] = [];
  for (const queue of queues) {
    const backlogSeconds = backlog.value.get(queue);
    const loadWorkers = load.value.get(queue);
    if (backlogSeconds === undefined) return err(missing(url, backlogSeries, queue));
    if (loadWorkers === undefined) return err(missing(url, loadSeries, queue));
    demands.push({ queue, backlogSeconds, loadWorkers });
  }
  return ok(demands);
}

function missing(url: URL, series: string, queue: string): string {
  return `${url.href} has no ${series} of the queue ${queue} now: a gateway has to be scraped for two intervals`;
}

/** Values by queue; an error when there is none at all. */
async function query(
  url: URL,
  series: string,
  http: HttpPort,
): Promise<Result<ReadonlyMap<string, number>, string>> {
  const path = `${url.pathname.replace(/\/$/u, '')}/api/v1/query?query=${encodeURIComponent(series)}`;
  const request = { method: 'GET', origin: url.origin, path, headers: {}, body: null } as const;
  const answer = await http.send(request, answerMsMax);
  if (!answer.ok) return err(`${url.href} does not answer: ${answer.error.detail}`);
  const { body, status } = answer.value;
  const read = valuesOf(Buffer.from(body).toString('utf8'));
  if (!read.ok) return err(`${url.href} answers ${status}, and ${read.error}`);
  if (read.value.size === 0) {
    return err(
      `${url.href} has no series ${series} now: are the rules of infra/prometheus/rules loaded, and is a gateway scraped?`,
    );
  }
  return read;
}

function valuesOf(text: string): Result<ReadonlyMap<string, number>, string> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return err('not as Prometheus does');
  }
  const { data, error } = (parsed ?? {}) as {
    readonly data?: { readonly result?: readonly Sample[] };
    readonly error?: string;
  };
  if (typeof error === 'string') return err(`says: ${error.slice(0, 500)}`);
  if (!Array.isArray(data?.result)) return err('not as Prometheus does');
  const values = new Map<string, number>();
  for (const sample of data.result as readonly (Sample | null)[]) {
    const queue = sample?.metric?.['queue'];
    const told = sample?.value?.[1];
    const number = Number(told);
    if (queue === undefined || !(number >= 0 && number < Infinity)) {
      return err(`has the value ${told} for the queue ${queue}`);
    }
    // Of two installations in one Prometheus: whichever came last would hide the work of the other.
    if (values.has(queue)) {
      return err(`has several series of the queue ${queue}, of which nothing tells the right one`);
    }
    values.set(queue, number);
  }
  return ok(values);
}

interface Sample {
  readonly metric?: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
}
