/** "Did you mean": the known name that a mistyped one most likely stands for. */

const editsMax = 2;

/** The nearest of `names` within two edits (fewer than half the word); undefined when none is near. */
export function closestTo(word: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestEdits = Math.min(editsMax, Math.floor((word.length - 1) / 2)) + 1;
  for (const name of names) {
    if (Math.abs(name.length - word.length) >= bestEdits) continue;
    const edits = editsBetween(word.toLowerCase(), name);
    if (edits < bestEdits) {
      best = name;
      bestEdits = edits;
    }
  }
  return best;
}

/** Levenshtein distance, one row of the table at a time. */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
