/** `GET /v1/jobs/{id}/events`, and a submitted job whose caller asked for its events. */
import { type Failure, failure, isTerminal, type JobRecord } from '@inferry/contracts';
import { type EventPlace, eventStreamType, parseEventId } from '@inferry/protocols';
import { err, ok, type Result } from '@inferry/runtime';
import { accepts } from 'hono/accepts';

import type { GatewayParts } from '../deps.ts';
import { answer, type GatewayContext } from '../http/exchange.ts';
import { fromTheStart } from './follow-partials.ts';
import { jobEvents } from './job-events.ts';
import type { StreamPlace } from './stream-places.ts';
import { streamResponse } from './stream-response.ts';

/** Whether the caller would rather have events than one document. */
export function wantsEvents(c: GatewayContext): boolean {
  const type = accepts(c, {
    header: 'Accept',
    supports: ['application/json', eventStreamType],
    default: 'application/json',
  });
  return type === eventStreamType;
}

/** Where the caller is; `?after=` comes before `Last-Event-ID`. Errors: `invalid_query`, `invalid_header`. */
export function readPlace(c: GatewayContext): Result<EventPlace | 'done', Failure> {
  const query = c.req.query('after');
  const header = 'Last-Event-ID';
  const [asked, sent] = [query, c.req.header(header)].map((id = '') =>
    id === '' ? fromTheStart : parseEventId(id),
  );
  const detail = (name: string): string =>
    `${name} must be the id of an event of this job, such as 1-7.`;
  if (asked === undefined) return err(failure('invalid_query', detail('after')));
  if (sent === undefined) {
    return err(failure('invalid_header', detail(header), { extras: { header } }));
  }
  return ok(query === undefined ? sent : asked);
}

/** The events of a job from a place on. Who has read its end has read all: 204, so that its caller stops. */
export function eventsOf(
  c: GatewayContext,
  record: JobRecord,
  {
    at,
    place,
    responds,
  }: {
    readonly at: EventPlace | 'done';
    readonly place: StreamPlace;
    /** See {@link jobEvents}. */
    readonly responds?: (() => void) | undefined;
  },
  parts: GatewayParts,
  headers: Readonly<Record<string, string>> = {},
): Response {
  if (at === 'done' && isTerminal(record.status)) {
    place.release();
    return answer(c, { status: 204, body: null });
  }
  const jobHeaders = { 'Job-Id': record.job.id, ...headers };
  if (c.req.method === 'HEAD') {
    place.release();
    return answer(c, {
      status: 200,
      body: null,
      headers: { ...jobHeaders, 'Content-Type': eventStreamType },
    });
  }
  const from = at === 'done' ? fromTheStart : at;
  const exchange = c.get('exchange');
  return streamResponse(
    c,
    place,
    (signal) => jobEvents(record, { exchange, from, responds }, signal, parts),
    parts,
    jobHeaders,
  );
}
