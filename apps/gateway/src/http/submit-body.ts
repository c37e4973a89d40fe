/** The body of a submit in the form its media type says. */
import { type Failure, failure } from '@inferry/contracts';
import type { SubmitBody } from '@inferry/protocols';
import { err, ok, type Result } from '@inferry/runtime';

/** Parts of one multipart body; more are refused. */
const partsMax = 64;
/** The part that holds the JSON of a multipart submit. */
const requestPart = 'request';

/** For the header `Accept-Post`. */
export const submitMediaTypes =
  'application/json, multipart/form-data, image/*, application/octet-stream';

/** Errors: `unsupported_media_type`, `malformed_multipart`. */
export async function submitBodyOf(
  contentType: string | undefined,
  bytes: Uint8Array,
): Promise<Result<SubmitBody, Failure>> {
  const type = mediaTypeOf(contentType);
  if (isJson(type)) return ok({ kind: 'json', bytes });
  if (type === 'multipart/form-data') return readMultipart(contentType ?? '', bytes);
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

async function readMultipart(
  contentType: string,
  bytes: Uint8Array,
): Promise<Result<SubmitBody, Failure>> {
  let form: FormData;
  try {
    form = await new Response(bytes, { headers: { 'Content-Type': contentType } }).formData();
  } catch {
    const detail = 'The body is not multipart/form-data with the boundary of its Content-Type.';
    return err(failure('malformed_multipart', detail));
  }
  const parts = new Map<string, Uint8Array>();
  for (const [name, value] of form.entries()) {
    if (parts.has(name)) {
      return err(failure('malformed_multipart', `The part "${name}" is there twice.`));
    }
    if (parts.size === partsMax) {
      return err(failure('malformed_multipart', `The body has more than ${partsMax} parts.`));
    }
    parts.set(
      name,
      typeof value === 'string'
        ? new TextEncoder().encode(value)
        : new Uint8Array(await value.arrayBuffer()),
    );
  }
  if (parts.size === 0) return err(failure('malformed_multipart', 'The body has no parts.'));
  const request = parts.get(requestPart);
  parts.delete(requestPart);
  return ok({ kind: 'multipart', request, parts });
}
