/**
 * What `docker build` would send: the files of the checkout that git knows or does not ignore, less what
 * .dockerignore leaves out.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Copies the build context of the checkout `root` into the folder `into`; returns the paths of its files. */
export function writeBuildContext(root, into) {
  const argv = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const files = execFileSync('git', argv, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const isIgnored = ignoredBy(readFileSync(join(root, '.dockerignore'), 'utf8'));
  const kept = files
    .split('\0')
    .filter((path) => path !== '' && existsSync(join(root, path)) && !isIgnored(path));
  for (const path of kept) {
    mkdirSync(dirname(join(into, path)), { recursive: true });
    cpSync(join(root, path), join(into, path));
  }
  return kept;
}

/** Docker's reading of .dockerignore: patterns from the root, the last that matches decides, `!` takes back. */
function ignoredBy(text) {
  const rules = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const isKept = line.startsWith('!');
      return { isKept, pattern: patternOf(isKept ? line.slice(1) : line) };
    });
  return (path) => {
    const matching = rules.findLast(({ pattern }) => pattern.test(path));
    return matching !== undefined && !matching.isKept;
  };
}

/** A pattern matches what it names, and all below. */
function patternOf(glob) {
  const parts = glob.replace(/^\/|\/$/gu, '').split(/(\*\*\/|\*\*|\*|\?)/u);
  const source = parts.map((part) => {
    if (part === '**/') return '(?:.*/)?';
    if (part === '**') return '.*';
    if (part === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    return part.replaceAll(/[.+^$()|[\]{}\\]/gu, String.raw`\$&`);
  });
  return new RegExp(`^${source.join('')}(?:/.*)?$`, 'u');
}
