/** What is made from the boards and committed beside them. */
import { boards } from './boards.ts';
import { buildBoard } from './build.ts';

export interface GeneratedFile {
  /** Below `infra/grafana`. */
  readonly path: string;
  readonly text: string;
}

/** A query that may rightly return no series, for whoever checks that all others do. */
export interface MayBeEmpty {
  /** The `uid` of the dashboard. */
  readonly dashboard: string;
  /** The `id` of the panel. */
  readonly panel: number;
  /** How the query begins. */
  readonly exprPrefix: string;
  readonly reason: string;
}

/** One file a dashboard, and the list of queries that may return nothing. The same at every call. */
export function generatedFiles(): readonly GeneratedFile[] {
  const dashboards = boards.map((board) => ({
    path: `dashboards/${board.uid}.json`,
    text: json(buildBoard(board)),
  }));
  return [...dashboards, { path: 'may-be-empty.json', text: json(mayBeEmpty()) }];
}

/** Of all boards, in their order. */
export function mayBeEmpty(): readonly MayBeEmpty[] {
  return boards.flatMap(({ uid, sections }) =>
    sections.flatMap(({ panels }) =>
      panels.flatMap(({ id, queries }) =>
        queries.flatMap(({ expr, mayBeEmpty: reason }) =>
          reason === undefined ? [] : [{ dashboard: uid, panel: id, exprPrefix: expr, reason }],
        ),
      ),
    ),
  );
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
