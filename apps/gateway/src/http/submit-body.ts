/** The body of a submit in the form its media type says. */
import { type Failure, failure } from '@inferry/contracts';
import type { SubmitBody } from '@inferry/protocols';
import { err, ok, type Result } from '@inferry/runtime';

import { readMultipart } from './multipart.ts';

/** The part that holds the JSON of a multipart submit. */
const requestPart = 'request';

/** For the header `Accept-Post`. */
export const submitMediaTypes =
  'application/json, multipart/form-data, image/*, application/octet-stream';

/** Errors: `unsupported_media_type`, `malformed_multipart`. */
export function submitBodyOf(
  contentType: string | undefined,
  bytes: Uint8Array,
): Result<SubmitBody, Failure> {
  const type = mediaTypeOf(contentType);
  if (isJson(type)) return ok({ kind: 'json', bytes });
  if (type === 'multipart/form-data') {
    const parts = readMultipart(contentType ?? '', bytes);
    if (!parts.ok) return parts;
    const request = parts.value.get(requestPart);
    parts.value.delete(requestPart);
    return ok({ kind: 'multipart', request, parts: parts.value });
  }
  if (type === 'application/octet-stream' || type.startsWith('image/')) {
    return ok({ kind: 'raw', bytes });
  }
  const detail = `Content-Type "${type}" is not supported; send one of ${submitMediaTypes}.`;
  return err(failure('unsupported_media_type', detail));
}

/** `unsupported_media_type` unless the body says that it is JSON, or says nothing. */
export function requireJson(contentType: string | undefined): Result<void, Failure> {
  const type = mediaTypeOf(contentType);
  if (isJson(type)) return ok(undefined);
  const detail = `Content-Type "${type}" is not supported here; send application/json.`;
  return err(failure('unsupported_media_type', detail));
}

/** A body without a type is taken for JSON, as it is from most command lines. */
function mediaTypeOf(contentType: string | undefined): string {
  return (contentType ?? 'application/json').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** `curl -d` says urlencoded when it is told nothing: such a body can only be meant as JSON here. */
function isJson(type: string): boolean {
  return (
    type === 'application/json' ||
    type.endsWith('+json') ||
    type === 'application/x-www-form-urlencoded'
  );
}
