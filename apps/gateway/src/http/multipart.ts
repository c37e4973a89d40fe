/**
 * Reads multipart/form-data (RFC 7578) out of a body that has arrived. Every part is kept as the bytes
 * it is, whether it names a file or not: an image without a file name is still an image. Bounded in the
 * number of parts and in the size of their headers, so that no body costs more than a pass over it.
 */
import { type Failure, failure } from '@inferry/contracts';
import { err, type Err, ok, type Result } from '@inferry/runtime';

const partsMax = 64;
const partHeadBytesMax = 4_096;
const headEnd = '\r\n\r\n';

/** The parts by name, as views into `bytes`. Error: `malformed_multipart`. */
export function readMultipart(
  contentType: string,
  bytes: Uint8Array,
): Result<Map<string, Uint8Array>, Failure> {
  const boundary = boundaryOf(contentType);
  if (boundary === undefined) return malformed('The Content-Type names no boundary.');
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const delimiter = `--${boundary}`;
  const parts = new Map<string, Uint8Array>();
  let delimiterAt = body.indexOf(delimiter);
  while (delimiterAt !== -1) {
    const at = delimiterAt + delimiter.length;
    if (body.toString('latin1', at, at + 2) === '--') {
      return parts.size === 0 ? malformed('The body has no parts.') : ok(parts);
    }
    if (parts.size === partsMax) return malformed(`The body has more than ${partsMax} parts.`);
    // Looked for in the bytes: as text, a head that is not UTF-8 has another length.
    const headBytes = body.subarray(at, at + partHeadBytesMax).indexOf(headEnd);
    if (headBytes === -1) {
      if (body.length - at < partHeadBytesMax) break;
      return malformed(`The headers of a part are larger than ${partHeadBytesMax} bytes.`);
    }
    const name = nameOf(body.toString('utf8', at, at + headBytes));
    if (!name.ok) return malformed(name.error);
    if (parts.has(name.value)) return malformed(`The part "${name.value}" is there twice.`);
    const contentAt = at + headBytes + headEnd.length;
    const contentEnd = body.indexOf(`\r\n${delimiter}`, contentAt);
    if (contentEnd === -1) break;
    parts.set(name.value, body.subarray(contentAt, contentEnd));
    delimiterAt = contentEnd + 2;
  }
  return malformed(`The body does not end with its boundary, "${delimiter}--".`);
}

/** The name in the headers of a part, which start with the rest of the boundary's line. */
function nameOf(head: string): Result<string, string> {
  if (/\r\ncontent-transfer-encoding:[ \t]*(?:base64|quoted-printable)/iu.test(head)) {
    return err('A part has a Content-Transfer-Encoding; send its bytes as they are.');
  }
  const disposition = /^[ \t]*\r\n(?:[^]*\r\n)?content-disposition:[ \t]*form-data([^\r]*)/iu.exec(
    head,
  );
  const name = /;[ \t]*name=(?:"([^"]*)"|([^\s;"]+))/iu.exec(disposition?.[1] ?? '');
  // As browsers write names: a quote as %22, and a backslash as itself.
  const text = name?.[1]?.replaceAll('%22', '"') ?? name?.[2];
  return text === undefined || text === ''
    ? err('A part has no name: it needs Content-Disposition: form-data; name="...".')
    : ok(text);
}

function boundaryOf(contentType: string): string | undefined {
  const found = /;[ \t]*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/iu.exec(contentType);
  return found?.[1] ?? found?.[2];
}

function malformed(detail: string): Err<Failure> {
  return err(failure('malformed_multipart', detail));
}
