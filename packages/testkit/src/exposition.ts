/** Reads what a scrape answers, for tests that compare two scrapes or look for one sample. */

/** Samples of a Prometheus text exposition, as `name{labels}` -> value. */
export function parseExposition(text: string): ReadonlyMap<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}
