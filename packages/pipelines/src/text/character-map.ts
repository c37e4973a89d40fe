/**
 * The character map of a SentencePiece model: a trie of UTF-8 bytes (a double array, as darts-clone writes it)
 * that leads to replacements. Read as Hugging Face's `spm_precompiled` reads it.
 */

/** Clusters that were looked up are kept, as texts are made of few of them. */
const rememberedMax = 10_000;
const encoder = new TextEncoder();

/** Throws for bytes that are no such map. */
export function characterMap(bytes: Uint8Array): (text: string) => string {
  const { trie, replacements } = partsOf(bytes);
  const remembered = new Map<string, string>();

  function replaced(text: string): string | undefined {
    const found = shortestMatch(trie, encoder.encode(text));
    if (found === undefined) return undefined;
    const end = replacements.indexOf(0, found);
    return decoder.decode(replacements.subarray(found, end === -1 ? undefined : end));
  }

  function mapped(cluster: string): string {
    const known = remembered.get(cluster);
    if (known !== undefined) return known;
    const whole = encoder.encode(cluster).length < clusterBytesEnd ? replaced(cluster) : undefined;
    const changed =
      whole ?? Array.from(cluster, (character) => replaced(character) ?? character).join('');
    if (remembered.size >= rememberedMax) remembered.clear();
    remembered.set(cluster, changed);
    return changed;
  }

  return (text) => {
    let result = '';
    for (const cluster of clustersOf(text)) result += mapped(cluster);
    return result;
  };
}

const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' });
const chunkLength = 256;

/**
 * The clusters of characters that are seen as one. Texts are segmented in chunks, as the time a segmenter takes
 * grows with the square of the length; a chunk's last cluster may go on, so the next chunk begins with it.
 */
function* clustersOf(text: string): Generator<string> {
  let start = 0;
  let length = chunkLength;
  while (start < text.length) {
    const chunk = text.slice(start, start + length);
    const clusters = Array.from(segmenter.segment(chunk), ({ segment }) => segment);
    const isLast = start + length >= text.length;
    const last = isLast ? undefined : clusters.pop();
    yield* clusters;
    start += chunk.length - (last?.length ?? 0);
    length = clusters.length === 0 ? length * 2 : chunkLength;
  }
}

/** Longer clusters are mapped character by character only. */
const clusterBytesEnd = 6;
const decoder = new TextDecoder();

function partsOf(bytes: Uint8Array): { trie: Uint32Array; replacements: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const trieBytes = bytes.length < 4 ? -1 : view.getUint32(0, true);
  if (trieBytes < 4 || trieBytes % 4 !== 0 || trieBytes + 4 > bytes.length) {
    throw new Error('precompiled_charsmap is no character map of SentencePiece');
  }
  const trie = Uint32Array.from({ length: trieBytes / 4 }, (_, i) =>
    view.getUint32(4 + i * 4, true),
  );
  return { trie, replacements: bytes.subarray(4 + trieBytes) };
}

/** Where the replacement of the shortest key begins that the bytes begin with. */
function shortestMatch(trie: Uint32Array, key: Uint8Array): number | undefined {
  let node = offsetOf(trie[0] ?? 0);
  for (const byte of key) {
    if (byte === 0) return undefined;
    node ^= byte;
    const unit = trie[node] ?? 0;
    // The label of a node is its byte; a leaf has the highest bit set.
    if ((unit & 0x8000_00ff) !== byte) return undefined;
    node ^= offsetOf(unit);
    if ((unit & 0x100) !== 0) return (trie[node] ?? 0) & 0x7fff_ffff;
  }
  return undefined;
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}
