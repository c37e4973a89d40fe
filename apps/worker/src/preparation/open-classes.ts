/** What each class that shares a preparation is prepared by, under keys of its own. */
import type { ClassId, ModelManifest } from '@inferry/contracts';
import type { Preparation, PreparationItem, PreparedAt } from './preparation.ts';

export interface KeyedPreparation {
  learn(key: string, manifest: ModelManifest): void;
  forget(key: string): void;
  prepare(
    cls: ClassId,
    items: readonly PreparationItem[],
    key: string,
  ): Promise<readonly PreparedAt[]>;
}

let opened = 0;

/** See `SharedPreparation.open`. */
export function openClass(
  shared: KeyedPreparation,
  cls: ClassId,
  manifest: ModelManifest,
): Preparation {
  opened += 1;
  const key = `${cls} ${opened}`;
  shared.learn(key, manifest);
  return {
    prepare: (cls, items) => shared.prepare(cls, items, key),
    close: () => Promise.resolve(shared.forget(key)),
  };
}
