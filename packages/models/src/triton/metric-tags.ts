/** `metric_tags`: labels of the model's series among Triton's metrics, there with `_` in front of each name. */
import type { Notes } from './notes.ts';
import type { TritonConfig } from './triton-config.ts';

const tagsMax = 16;
const valueCharsMax = 256;
/** With `_` in front, the name of a label; `__` is kept for Prometheus itself. */
const tagName = /^[A-Za-z0-9][A-Za-z0-9_]{0,63}$/u;

/** Those that can be labels; of each other one it is warned. */
export function metricTagsOf(
  { metric_tags: given = {} }: TritonConfig,
  notes: Notes,
): Readonly<Record<string, string>> {
  const tags: [string, string][] = [];
  for (const [name, value] of Object.entries(given)) {
    const problem = problemOf(name, value, tags.length);
    if (problem === null) tags.push([name, value]);
    else notes.warn(['metric_tags', name], `is left out: ${problem}`);
  }
  return Object.fromEntries(tags);
}

function problemOf(name: string, value: string, before: number): string | null {
  if (before >= tagsMax) return `a model has at most ${tagsMax}`;
  if (!tagName.test(name))
    return 'with _ in front it must be the name of a label, of at most 65 characters';
  return value.length > valueCharsMax
    ? `its value is longer than ${valueCharsMax} characters`
    : null;
}
