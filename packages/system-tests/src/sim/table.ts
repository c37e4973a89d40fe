/** Tables in Markdown, aligned so that they read as plain text too. */

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The first column is text, the others are numbers. */
export function render({ columns, rows, title }: Table): string {
  const widths = columns.map((column, at) =>
    [column, ...rows.map((row) => row[at] ?? '')].reduce(
      (most, { length }) => Math.max(most, length),
      3,
    ),
  );
  const line = (cells: readonly string[]): string => {
    const padded = widths.map((width, at) => {
      const cell = cells[at] ?? '';
      return at === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${padded.join(' | ')} |`;
  };
  const rule = widths.map((width, at) => '-'.repeat(width - 1) + (at === 0 ? '-' : ':'));
  return [title, '', line(columns), line(rule), ...rows.map(line)].join('\n');
}

export function percent(share: number): string {
  return (100 * share).toFixed(1);
}

export function milliseconds(ms: number): string {
  return ms < 20 ? ms.toFixed(1) : String(Math.round(ms));
}
