/** Reads what a scrape answers: the Prometheus text format, as far as it tells values. */

/** The name with its labels, the value, and perhaps an instant, which is not read. */
const sample = /^([^\s{]+(?:\{.*\})?)\s+(\S+)(?:\s+\d+)?$/u;

/** Samples of a text exposition, as `name{labels}` -> value. Lines of another form are left out. */
export function parseExposition(text: string): ReadonlyMap<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, series, value] = line.startsWith('#') ? [] : (sample.exec(line) ?? []);
    if (series === undefined || value === undefined) continue;
    samples.set(series, Number(value.replace(/Inf$/u, 'Infinity')));
  }
  return samples;
}
