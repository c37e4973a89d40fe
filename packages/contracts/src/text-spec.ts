/** How a text becomes the token ids that a language model takes, as data. */

type Side = 'left' | 'right';

/**
 * A text [field] becomes tensors [rows, length] of token ids. `length` is the smallest bucket that holds
 * the longest text of the item, so that items of one bucket can share a run.
 */
export interface TextSpec {
  readonly kind: 'text';
  /** Name of the pipeline's input field. */
  readonly input: string;
  /** Absolute path of a `tokenizer.json` of Hugging Face. Only what prepares opens it. */
  readonly tokenizerFile: string;
  /** Bytes of one text in UTF-8; a longer one is refused before it is queued. */
  readonly bytesMax: number;
  /** Tokens of one text, those that mark its ends included. */
  readonly lengthMax: number;
  /** What becomes of a text with more tokens: its end (or its beginning) is cut off, or it is refused. */
  readonly overflow: 'truncate' | 'refuse';
  /** Where a text is cut. */
  readonly truncationSide: Side;
  /** Whether the tokens that mark the ends of a text are added, as the tokenizer says. */
  readonly hasSpecialTokens: boolean;
  /** Lengths in tokens, ascending; the last is `lengthMax`. */
  readonly buckets: readonly number[];
  readonly padding: { readonly id: number; readonly typeId: number; readonly side: Side };
  /** Names of the model's inputs; null where it has none for it. All are INT64 or INT32. */
  readonly tensors: {
    readonly ids: string;
    /** 1 for a token, 0 for padding. */
    readonly mask: string | null;
    /** The segment each token belongs to. */
    readonly types: string | null;
  };
}

const loneSurrogate = /\p{Surrogate}/u;
/**
 * Bringing marks into their order (NFD) takes time that grows with the square of a run: a mebibyte of them,
 * two minutes. No script needs a tenth of so many (Unicode Standard Annex 15, "Stream-Safe Text Format").
 */
const marksMax = 256;
const tooManyMarks = new RegExp(String.raw`(?<!\p{M})\p{M}{${marksMax + 1}}`, 'u');

/** What is wrong with the text of a row, to follow the field's name; undefined where it can be used. */
export function textProblem(spec: TextSpec, value: unknown): string | undefined {
  if (value === undefined) return 'is missing';
  if (typeof value !== 'string') return 'must be text';
  if (loneSurrogate.test(value)) return 'holds half of a surrogate pair, which is no character';
  const bytes = Buffer.byteLength(value);
  if (bytes > spec.bytesMax) return `has ${bytes} bytes; at most ${spec.bytesMax} are taken`;
  if (tooManyMarks.test(value)) return `has more than ${marksMax} combining marks in a row`;
  return undefined;
}
