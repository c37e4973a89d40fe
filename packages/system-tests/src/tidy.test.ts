/** House rules that no lint rule can hold: they concern whole files, documents and the repository. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errorRegistry } from '@inferry/contracts';
import { repositoryFiles, repositoryPath } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { citedPaths } from './cited-paths.ts';

const files = repositoryFiles();
const sources = files.filter(({ path }) => /\.(?:ts|js|mjs)$/u.test(path));
const documents = files.filter(({ path }) => path.endsWith('.md'));
const manifests = files.filter(({ path }) => path.endsWith('package.json'));

const linesMax = 350;

interface Ban {
  readonly match: RegExp;
  readonly use: string;
  readonly except?: RegExp;
  /** A text it must find, in two parts, so that this file does not hold the text itself. */
  readonly finds: readonly [string, string];
}

/** Each names what to do instead. Character classes keep a pattern from matching itself. */
const bans: readonly Ban[] = [
  {
    match: /\b(?:TOD[O]|FIXM[E]|XX[X])\b/u,
    use: 'finish it, or file an issue',
    finds: ['TO', 'DO'],
  },
  {
    match: /\b(?:test|it|describe|suite)\.(?:skip|only|todo|skipIf|runIf)\b/u,
    use: 'a test that runs everywhere, or none',
    finds: ['test.', 'skip('],
  },
  { match: /^export \* from/mu, use: 'exports by name', finds: ['export *', ' from'] },
  {
    match: /(?<![\w.~-])\/(?:work|home|Users|root)\/\w/u,
    use: 'a path inside the repository, or one the caller gives',
    // The caches of package tools inside an image.
    except: /Dockerfile$/u,
    finds: ['/', 'home/x'],
  },
  {
    match: /registry\.npmj[s]|pypi\.or[g]|pythonhoste[d]|proxy\.golan[g]/u,
    use: "the package tool's own configuration",
    finds: ['pypi', '.org'],
  },
];

test('the repository is found, with sources, documents and manifests in it', () => {
  expect(sources.length).toBeGreaterThan(50);
  expect(manifests.length).toBeGreaterThan(10);
});

test('no file breaks a house rule', () => {
  const broken = files.flatMap(({ path, text }) =>
    bans
      .filter((ban) => ban.match.test(text) && ban.except?.test(path) !== true)
      .map((ban) => `${path}: "${ban.match.exec(text)?.[0]}"; use ${ban.use}`),
  );
  expect(broken).toEqual([]);
});

test(`no source file is longer than ${linesMax} lines without saying why`, () => {
  const long = sources
    .filter(({ text }) => !text.includes('tidy-allow:'))
    .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > linesMax);
  expect(long).toEqual([]);
});

test('every source file opens with a comment that says what it is', () => {
  const silent = sources
    .filter(({ path }) => path.includes('/src/') && !/(?:\.test\.ts|\/index\.ts)$/u.test(path))
    .filter(({ text }) => !/^(?:#![^\n]*\n)?\/\*\*/u.test(text))
    .map(({ path }) => path);
  expect(silent).toEqual([]);
});

test('links and code spans that begin with a folder of the repository are paths, patterns are not', () => {
  const text = [
    'See [queue](packages/queue/src/port.ts#L3), [web](https://example.com) and [below](#below).',
    'Also `apps/cli/bin/inferry.js`, `models/<name>/model.yaml`, `packages/*/src`, `npm test`.',
    'Line `infra/redis/redis.conf:12` and a model of your own, `models/my-model/1`.',
    '```',
    '`k6/in-a-code-block.js`',
    '```',
  ].join('\n');
  expect(citedPaths(text)).toEqual([
    'packages/queue/src/port.ts',
    'apps/cli/bin/inferry.js',
    'infra/redis/redis.conf',
  ]);
});

test('every path a document names exists', () => {
  const missing = documents.flatMap(({ path, text }) =>
    citedPaths(text)
      .filter((cited) => !existsSync(repositoryPath(join(dirname(path), cited))))
      .filter((cited) => !existsSync(repositoryPath(cited)))
      .map((cited) => `${path}: ${cited}`),
  );
  expect(missing).toEqual([]);
});

test('every dependency is pinned to one version', () => {
  const loose = manifests.flatMap(({ path, text }) => {
    const manifest = JSON.parse(text) as Record<string, Record<string, string> | undefined>;
    return ['dependencies', 'devDependencies', 'optionalDependencies', 'overrides'].flatMap(
      (kind) =>
        Object.entries(manifest[kind] ?? {})
          .filter(([name, version]) => !isPinned(name, version))
          .map(([name, version]) => `${path}: ${name} ${version}`),
    );
  });
  expect(loose).toEqual([]);
});

test('the error table of ARCHITECTURE.md is the error registry', () => {
  const document = documents.find(({ path }) => path === 'ARCHITECTURE.md');
  if (document === undefined) return;
  const registry = Object.entries(errorRegistry).map(([code, { status }]) => `${code} ${status}`);
  const rows = [...document.text.matchAll(/^\|\s*`([a-z_]+)`\s*\|(?:.*\|)?\s*([45]\d\d)\s*\|/gmu)];
  const written = rows.map(([, code, status]) => `${code} ${status}`);
  expect(written.toSorted(byText)).toEqual(registry.toSorted(byText));
});

test('every ban finds what it is for', () => {
  for (const { match, finds } of bans) expect(finds.join('')).toMatch(match);
});

function isPinned(name: string, version: string): boolean {
  if (name.startsWith('@inferry/')) return version === '*';
  return /^\d+\.\d+\.\d+(?:-[\w.]+)?$/u.test(version);
}

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}
