/** A model that is not in its repository yet, read as if it were. */
import { symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { loadRepository, type Repository } from '@inferry/models';
import { narrowed } from '../roles/models.ts';
import { isThere, visible } from './folders.ts';

/**
 * What a folder that holds one model alone would be among the models of a repository: an ensemble needs those of its
 * steps. Leaves links to them in the folder.
 */
export async function readAmong(
  folder: string,
  name: string,
  modelsDir: string,
): Promise<Repository> {
  const alone = await loadRepository(folder);
  if (alone.problems.length === 0 || !(await isThere(modelsDir))) return alone;
  for (const other of (await visible(modelsDir)).folders) {
    if (other !== name) await symlink(resolve(modelsDir, other), join(folder, other));
  }
  return narrowed(await loadRepository(folder), [name]);
}
