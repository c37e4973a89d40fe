/**
 * The unigram model of SentencePiece (Kudo 2018): of all ways to divide a piece, the one whose tokens are most
 * likely together, found by Viterbi's algorithm in the order in which Hugging Face's `tokenizers` does it, so
 * that ties fall the same way.
 */
import type { TokenizerModelJson } from '@inferry/contracts';

type UnigramJson = Extract<TokenizerModelJson, { type: 'Unigram' }>;

/** How much less likely an unknown character is than the least likely token. */
const unknownPenalty = 10;
const encoder = new TextEncoder();

/** Ids of the tokens of one piece; undefined where a character is unknown and the model has no token for that. */
export function unigramModel(json: UnigramJson): (piece: string) => readonly number[] | undefined {
  const ids = new Map(json.vocab.map(([token], id) => [token, id]));
  const index = new PrefixIndex([...ids.keys()]);
  const scores = Float64Array.from(json.vocab, ([, score]) => score);
  const unknownId = json.unk_id ?? null;
  const unknownScore = scores.reduce((a, b) => Math.min(a, b), Infinity) - unknownPenalty;

  function idsOf(token: string): readonly (number | null)[] {
    const id = ids.get(token);
    if (id !== undefined) return [id];
    if (json.byte_fallback === true) {
      const bytes = Array.from(encoder.encode(token), (byte) => ids.get(byteToken(byte)));
      const known = bytes.filter((byte) => byte !== undefined);
      if (known.length === bytes.length) return known;
    }
    return [unknownId];
  }

  return (piece) => {
    const best = new Float64Array(piece.length + 1);
    const startOf = new Int32Array(piece.length + 1).fill(-1);
    const isUnknown = new Uint8Array(piece.length + 1);
    const offer = (start: number, end: number, score: number, unknown: 0 | 1): void => {
      const total = score + (best[start] ?? 0);
      if (startOf[end] !== -1 && total <= (best[end] ?? 0)) return;
      best[end] = total;
      startOf[end] = start;
      isUnknown[end] = unknown;
    };
    for (let start = 0; start < piece.length;) {
      const next = start + ((piece.codePointAt(start) ?? 0) > 0xffff ? 2 : 1);
      let hasCharacter = false;
      for (const end of index.endsOf(piece, start)) {
        const id = ids.get(piece.slice(start, end)) ?? 0;
        offer(start, end, scores[id] ?? 0, id === unknownId ? 1 : 0);
        hasCharacter ||= end === next;
      }
      if (!hasCharacter) offer(start, next, unknownScore, 1);
      start = next;
    }
    const found = joined(piece, startOf, isUnknown).flatMap(idsOf);
    const known = found.filter((id) => id !== null);
    return known.length === found.length ? known : undefined;
  };
}

/** The tokens along the best way; neighbours that are unknown become one. */
function joined(piece: string, startOf: Int32Array, isUnknown: Uint8Array): readonly string[] {
  const tokens: string[] = [];
  let unknownEnd = -1;
  let end = piece.length;
  while (end > 0) {
    const start = startOf[end] ?? 0;
    if (isUnknown[end] === 1) {
      if (unknownEnd === -1) unknownEnd = end;
    } else {
      if (unknownEnd !== -1) tokens.push(piece.slice(end, unknownEnd));
      unknownEnd = -1;
      tokens.push(piece.slice(start, end));
    }
    end = start;
  }
  if (unknownEnd !== -1) tokens.push(piece.slice(0, unknownEnd));
  return tokens.toReversed();
}

function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
}

/** Words in order, so that those with a prefix are neighbours: found by halving, without a node a character. */
class PrefixIndex {
  readonly #words: readonly string[];

  constructor(words: readonly string[]) {
    this.#words = words.toSorted();
  }

  /** Ends of all words that stand in the text at `start`, shortest first. */
  endsOf(text: string, start: number): readonly number[] {
    const ends: number[] = [];
    let low = 0;
    let high = this.#words.length;
    for (let at = start; at < text.length && low < high; at += 1) {
      const unit = text.charCodeAt(at);
      low = this.#firstFrom(low, high, at - start, unit);
      high = this.#firstFrom(low, high, at - start, unit + 1);
      // Of the words that begin with these characters the shortest comes first.
      if (low < high && this.#words[low]?.length === at - start + 1) ends.push(at + 1);
    }
    return ends;
  }

  /** The first word from `low` whose character at `depth` is `unit` or later; one that ends before has none. */
  #firstFrom(low: number, high: number, depth: number, unit: number): number {
    let [from, to] = [low, high];
    while (from < to) {
      const middle = (from + to) >> 1;
      const found = this.#words[middle] ?? '';
      const own = found.length > depth ? found.charCodeAt(depth) : -1;
      if (own < unit) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
