/** Names and identifiers that cross process boundaries, and the rules for them. */
import type { Random } from '@inferry/runtime';

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** `job_` + a 26-character lower-case Crockford base32 ULID: sorts by time, holds no `:` and no `.`. */
export type JobId = Branded<string, 'JobId'>;
/** `model@version`: jobs of one class may share a batch; each class is one BullMQ queue. */
export type ClassId = Branded<string, 'ClassId'>;

const crockford = '0123456789abcdefghjkmnpqrstvwxyz';
const jobIdPattern = /^job_[0-9a-hjkmnp-tv-z]{26}$/u;
const modelNamePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/u;
const versionPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u;

/** Path segments that follow a model's name in a route, so that no model may be called so. */
export const reservedNames: ReadonlySet<string> = new Set([
  'jobs',
  'versions',
  'labels',
  'metadata',
  'config',
  'stats',
  'ready',
  'openapi.json',
]);

export function isJobId(text: string): text is JobId {
  return jobIdPattern.test(text);
}

export function isModelName(text: string): boolean {
  return modelNamePattern.test(text) && !reservedNames.has(text) && !isInherited(text);
}

/** Also of labels. */
export function isModelVersion(text: string): boolean {
  return versionPattern.test(text) && !isInherited(text);
}

/** `constructor` and the like: as a key of an object it would be there where it is not. */
function isInherited(text: string): boolean {
  return text in {};
}

/** A ULID (48 bits of time in ms, 80 random bits) in lower-case Crockford base32, with the prefix. */
export function newId(prefix: string, nowMs: number, random: Random): string {
  let time = Math.floor(nowMs);
  let text = '';
  for (let i = 0; i < 10; i += 1) {
    text = crockford.charAt(time % 32) + text;
    time = Math.floor(time / 32);
  }
  const bytes = random.bytes(16);
  for (let i = 0; i < 16; i += 1) text += crockford.charAt((bytes[i] ?? 0) & 31);
  return `${prefix}_${text}`;
}

export function newJobId(nowMs: number, random: Random): JobId {
  return newId('job', nowMs, random) as JobId;
}

export function classOf(model: string, version: string): ClassId {
  return `${model}@${version}` as ClassId;
}

/** The parts of a class id. A model's name holds no `@`, so the first one divides. */
export function partsOf(id: ClassId): { readonly model: string; readonly version: string } {
  const at = id.indexOf('@');
  return { model: id.slice(0, at), version: id.slice(at + 1) };
}
