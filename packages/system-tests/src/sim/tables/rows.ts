/** What all tables are made of: the worlds they take place in, and one row for each policy. */
import { type Experiment, type Result, simulate } from '../simulate.ts';
import type { Table } from '../table.ts';
import { type DeviceModel, detector, type WorldOptions } from '../world.ts';

/** How much of the full run: 1 is all. */
export type Scale = number;

export interface Row {
  readonly name: string;
  readonly experiment: Experiment;
}

export interface Column {
  readonly name: string;
  readonly cell: (result: Result) => string;
}

export interface Report {
  readonly tables: readonly Table[];
  /** What did not hold, with the row in which it did not. */
  readonly broken: readonly string[];
}

/** What callers want, ms. */
export const targetMs = 500;

export function world(options: Partial<WorldOptions> = {}): WorldOptions {
  return {
    seed: 1,
    device: detector,
    slowness: [1],
    rowsMax: 8,
    networkMs: 2,
    ingestMs: 0,
    ...options,
  };
}

/** Rows a second of all workers together, with full batches. */
export function capacity({ device, rowsMax, slowness }: WorldOptions): number {
  return slowness.reduce((sum, factor) => sum + perSecond(device, rowsMax) / factor, 0);
}

function perSecond({ fixedMs, rowMs }: DeviceModel, rows: number): number {
  return (1_000 * rows) / (fixedMs + rowMs * rows);
}

/** Runs the rows one after the other. */
export async function tabulate(
  title: string,
  columns: readonly Column[],
  rows: readonly Row[],
): Promise<Report> {
  const cells: string[][] = [];
  const broken: string[] = [];
  for (const { experiment, name } of rows) {
    const result = await simulate(experiment);
    cells.push([name, ...columns.map(({ cell }) => cell(result))]);
    broken.push(...result.broken.map((what) => `${title.slice(0, 2)} ${name}: ${what}`));
  }
  const names = ['policy', ...columns.map(({ name }) => name)];
  return { tables: [{ title, columns: names, rows: cells }], broken };
}

export function together(reports: readonly Report[]): Report {
  return {
    tables: reports.flatMap(({ tables }) => tables),
    broken: reports.flatMap(({ broken }) => broken),
  };
}
