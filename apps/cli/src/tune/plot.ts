/** Text for a terminal: tables, and bars that are as fine as block characters allow. Pure. */

/** Eighths of a character cell, from one on. */
const eighths = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'] as const;

/** A bar of `share` (0..1) of `width` cells, padded to the width; at least a trace of what is not 0. */
export function bar(share: number, width: number): string {
  const cells = Math.min(Math.max(share, 0), 1) * width * 8;
  const filled = share > 0 ? Math.max(1, Math.round(cells)) : 0;
  const whole = '█'.repeat(Math.floor(filled / 8));
  const rest = filled % 8 === 0 ? '' : (eighths[(filled % 8) - 1] ?? '');
  return (whole + rest).padEnd(width);
}

/** The bar with a line at another value, where the bar has not passed it already. */
export function barWithMark(share: number, markShare: number | null, width: number): string {
  const text = bar(share, width);
  if (markShare === null || markShare > 1 || markShare <= share) return text;
  const at = Math.min(width - 1, Math.floor(markShare * width));
  return `${text.slice(0, at)}│${text.slice(at + 1)}`;
}

/** Rows of cells under their titles; the columns are as wide as their widest cell, and right-aligned. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  return [titles, ...rows].map((row) =>
    titles
      .map((_, column) => (row[column] ?? '').padStart(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Three digits that matter: `0.04`, `1.23`, `45.6`, `789`, `12,345`. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(value >= 10 ? 1 : 2);
}

/** `1 sample`, `2 samples`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
