/**
 * Server-sent events (WHATWG HTML, 9.2): how one is written, and what the events of a job hold. An id says how
 * far its reader is, so that another gateway can go on from there.
 */
import type { JobOutput, JobRecord } from '@inferry/contracts';

import { jobDocument, writeOutput } from './job-document.ts';

/** Where a reader stands in the partial outputs of a job, as the queue numbers them. */
export interface EventPlace {
  readonly epoch: number;
  readonly number: number;
}

/** The media type, and the id of the event after which nothing comes. */
export const eventStreamType = 'text/event-stream';
const doneId = 'done';

/** A sign of life, which readers skip. */
export const pingText = ': ping\n\n';

/** Tells the reader to wait so long before it comes back. */
export function retryText(ms: number): string {
  return `retry: ${ms}\n\n`;
}

/** An event without a name is a `message`. */
export function eventText({
  data,
  event,
  id,
}: {
  readonly data: string;
  readonly event?: string;
  readonly id?: string;
}): string {
  const name = event === undefined ? '' : `event: ${event}\n`;
  const place = id === undefined ? '' : `id: ${id}\n`;
  const lines = data.split(/\r\n|\r|\n/u).map((line) => `data: ${line}\n`);
  return `${place}${name}${lines.join('')}\n`;
}

/** What the id of an event says; undefined where it is none of ours. */
export function parseEventId(id: string): EventPlace | 'done' | undefined {
  if (id === doneId) return 'done';
  const [, epoch, number] = /^(\d{1,9})-(\d{1,9})$/u.exec(id) ?? [];
  if (epoch === undefined || number === undefined) return undefined;
  return { epoch: Number(epoch), number: Number(number) };
}

interface Context {
  readonly baseUrl: string;
  readonly nowMs: number;
}

/** `state`: it has another status or attempt. `queue`: its place in the line is told again. */
export function stateEvent(record: JobRecord, event: 'state' | 'queue', context: Context): string {
  return eventText({ event, data: jobDocument(record, context) });
}

/** All partial outputs that were told are void: the job was started anew, and tells them anew. */
export function resetEvent(record: JobRecord, context: Context): string {
  return eventText({ id: '0-0', event: 'reset', data: jobDocument(record, context) });
}

export function outputEvent(place: EventPlace, output: JobOutput): string {
  const data = `{"index":${place.number - 1},"output":${writeOutput(output)}}`;
  return eventText({ id: `${place.epoch}-${place.number}`, event: 'output', data });
}

export function doneEvent(record: JobRecord, context: Context): string {
  return eventText({ id: doneId, event: 'done', data: jobDocument(record, context) });
}

/** The stream ends before its job does. */
export function errorEvent(document: Readonly<Record<string, unknown>>): string {
  return eventText({ event: 'error', data: JSON.stringify(document) });
}
