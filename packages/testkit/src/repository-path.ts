/** Finds files of this repository, wherever a test runs from. */
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Absolute path of `segments` below the root of the checkout, e.g. `repositoryPath('models')`. */
export function repositoryPath(...segments: readonly string[]): string {
  return root + segments.join('/');
}
