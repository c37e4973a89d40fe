/** Every table. */
import { closedLoopTables } from './closed-loop.ts';
import { floodTable } from './flood.ts';
import { lingerTable } from './linger.ts';
import { openLoadTables } from './open-load.ts';
import { type Report, type Scale, together } from './rows.ts';

/** A tenth is enough to see whether the guarantee holds; the tails want all of it. */
export async function allTables(scale: Scale): Promise<Report> {
  const reports = [
    await closedLoopTables(scale),
    await openLoadTables(scale),
    await lingerTable(scale),
    await floodTable(scale),
  ];
  const { broken, tables } = together(reports);
  return { tables: tables.toSorted((a, b) => (a.title < b.title ? -1 : 1)), broken };
}
