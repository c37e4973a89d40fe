/** The text files of the repository, for tests that hold documents, code and configuration together. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryPath } from './repository-path.ts';

export interface RepositoryFile {
  /** From the root of the repository, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** Made by tools or by a build, never by hand. */
const skippedFolders = new Set([
  'node_modules',
  'dist',
  'coverage',
  'results',
  'fixtures',
  '__pycache__',
]);
/** The only folders with a dot that belong to the sources. */
const dotFolders = new Set(['.ci', '.github']);
const textNames =
  /(?:\.(?:ts|js|mjs|json|md|yml|yaml|conf|py|sh|txt|toml|lua|html|css)|Dockerfile)$/u;

/** Every text file below `folder`, sorted by path. The lock file is left out. */
export function repositoryFiles(folder = ''): readonly RepositoryFile[] {
  const files: RepositoryFile[] = [];
  for (const entry of readdirSync(repositoryPath(folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : join(folder, entry.name);
    if (entry.isDirectory()) {
      const isSkipped = skippedFolders.has(entry.name);
      const isHidden = entry.name.startsWith('.') && !dotFolders.has(entry.name);
      if (!isSkipped && !isHidden) files.push(...repositoryFiles(path));
    } else if (entry.isFile() && isText(entry.name, folder)) {
      files.push({ path, text: readFileSync(repositoryPath(path), 'utf8') });
    }
  }
  return files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function isText(name: string, folder: string): boolean {
  return name !== 'package-lock.json' && (textNames.test(name) || folder === '.ci');
}
