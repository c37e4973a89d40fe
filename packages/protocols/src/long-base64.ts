/**
 * Long base64 strings of a JSON body, left where they lie. A photograph in base64 is some hundred thousand
 * characters; as a JavaScript string it would be copied, checked and collected for nothing. Here the JSON
 * text gets a short stand-in for each such string, and the bytes are decoded from the body when they are
 * asked for.
 *
 * What is a long string is found by the member's name before it, without reading the text as JSON. That is
 * safe: the quote behind `b64` has no backslash before it, so it closes a name, or the text is no JSON up to
 * there, with the stand-in as without it. A stand-in cannot be forged: it holds half a surrogate pair, which
 * UTF-8 cannot say, and a body that has one as an escape is not shortened.
 */
import { type Allocate, bytesOfBase64, type DecodeBase64 } from './base64.ts';

/** Below this, a string costs less than the search for it. */
const longCharsMin = 4_096;
/** Strings looked at in one body; what is left of it is read as ordinary JSON. */
const looksMax = 4_096;
/** Blanks between a name and its value that are looked at. */
const blanksMax = 16;
/** The end of the names `$b64` and `b64`. */
const nameEnd = 'b64"';
const [blank, tab, lineFeed, carriageReturn] = [0x20, 0x09, 0x0a, 0x0d];
const [quote, colon, backslash] = [0x22, 0x3a, 0x5c];
const standInStart = '\uD800';
const decoder = new TextDecoder('utf-8', { fatal: true });
const surrogateEscape = /\\u[dD][89a-fA-F]/u;

interface Span {
  readonly start: number;
  readonly end: number;
}

export interface ShortenedJson {
  /** JSON text that is valid exactly where that of the body is, provided that each long string can be decoded. */
  readonly text: string;
  /** The bytes of base64 text, or of the long string for which it stands. */
  readonly decode: DecodeBase64;
  /** Whether all long strings were decoded. One that was not may be needed as the string it is. */
  readonly isAllDecoded: () => boolean;
}

/**
 * Undefined where there is nothing to shorten, or it cannot be told: the body is to be read as ordinary JSON
 * then. `decodeShort` decodes the text of strings that are not long, `allocate` gives memory for the others.
 */
export function shortenJson(
  bytes: Uint8Array,
  decodeShort: DecodeBase64,
  allocate: Allocate,
): ShortenedJson | undefined {
  if (bytes.length < longCharsMin) return undefined;
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const spans = longStrings(body);
  const longBytes = spans.reduce((sum, { start, end }) => sum + end - start, 0);
  // Where most of it is left, to read it twice could cost more than a body that has no long strings.
  const text = longBytes < body.length / 2 ? undefined : textWithStandIns(body, spans);
  if (text === undefined) return undefined;
  const left = new Set(spans.keys());
  return {
    text,
    decode(given) {
      if (!isStandIn(given)) return decodeShort(given);
      const index = Number(given.slice(standInStart.length));
      left.delete(index);
      const span = spans[index];
      return span === undefined ? undefined : bytesOfBase64(body, span, allocate);
    },
    isAllDecoded: () => left.size === 0,
  };
}

/** Half of a pair, and no other half behind it. */
function isStandIn(text: string): boolean {
  return text.codePointAt(0) === standInStart.charCodeAt(0);
}

/** Where the characters of long strings lie, each a whole JSON string without escapes, in their order. */
function longStrings(body: Buffer): readonly Span[] {
  const spans: Span[] = [];
  let escapeAt = nextOf(body, backslash, 0);
  let nameAt = body.indexOf(nameEnd);
  for (let looks = 0; nameAt !== -1 && looks < looksMax; looks += 1) {
    let end = nameAt + nameEnd.length;
    const start = valueStart(body, end);
    if (start !== undefined) {
      end = nextOf(body, quote, start);
      if (escapeAt < start) escapeAt = nextOf(body, backslash, start);
      const isWhole = end < body.length && end < escapeAt;
      if (isWhole && end - start >= longCharsMin) spans.push({ start, end });
    }
    nameAt = body.indexOf(nameEnd, end);
  }
  return spans;
}

/** The first character of the string that is the value of a name, `at` being behind the name. */
function valueStart(body: Buffer, at: number): number | undefined {
  const colonAt = skipBlanks(body, at);
  if (body[colonAt] !== colon) return undefined;
  const quoteAt = skipBlanks(body, colonAt + 1);
  return body[quoteAt] === quote ? quoteAt + 1 : undefined;
}

function skipBlanks(body: Buffer, at: number): number {
  let next = at;
  while (next < at + blanksMax) {
    const byte = body[next];
    const isBlank = byte === blank || byte === tab || byte === lineFeed || byte === carriageReturn;
    if (!isBlank) break;
    next += 1;
  }
  return next;
}

function nextOf(body: Buffer, byte: number, from: number): number {
  const at = body.indexOf(byte, from);
  return at === -1 ? body.length : at;
}

/** Undefined where the text is not UTF-8, or may hold a stand-in of its own. */
function textWithStandIns(body: Buffer, spans: readonly Span[]): string | undefined {
  let text = '';
  let at = 0;
  try {
    for (const [index, { start, end }] of spans.entries()) {
      text += `${decoder.decode(body.subarray(at, start))}${standInStart}${index}`;
      at = end;
    }
    text += decoder.decode(body.subarray(at));
  } catch {
    return undefined;
  }
  return surrogateEscape.test(text) ? undefined : text;
}
