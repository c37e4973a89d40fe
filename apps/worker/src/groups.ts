/** Which items of a claimed batch may share a run. Pure. */
import { invariant } from '@inferry/runtime';
import type { ReadyItem } from './ready-item.ts';

/**
 * Divides items into runs, in order of arrival: the items of a run have the same inputs, datatypes and
 * non-batch dimensions, and at most `rowsMax` rows together. `rowsMax` 0 is a model without a batch
 * dimension: every item runs alone.
 */
export function groupForRuns(
  items: readonly ReadyItem[],
  rowsMax: number,
): readonly (readonly ReadyItem[])[] {
  if (rowsMax === 0) return items.map((item) => [item]);
  const groups: ReadyItem[][] = [];
  const open = new Map<string, { readonly items: ReadyItem[]; rows: number }>();
  for (const item of items) {
    invariant(item.rows <= rowsMax, 'a job has at most as many rows as a batch');
    const { shape } = item.facts;
    let group = open.get(shape);
    if (group === undefined || group.rows + item.rows > rowsMax) {
      group = { items: [], rows: 0 };
      open.set(shape, group);
      groups.push(group.items);
    }
    group.items.push(item);
    group.rows += item.rows;
  }
  return groups;
}
