/**
 * Makes sure that `prometheus`, `promtool` (2.42 or newer, 3 as well) and `amtool` can be run. Taken from the
 * PATH where they are; otherwise Debian's packages are fetched and unpacked under `~/.cache/inferry-tools`,
 * not installed: installed they would start services, which occupy 9090 and 9093. On macOS Homebrew installs
 * them, which starts nothing. Ends with status 1 and a plain message when that is impossible. Also usable as a
 * module: `ensurePrometheus()`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { installPackage } from './install-package.mjs';

/** The package that has a tool, and the oldest version that the rules and tests are held to. */
const tools = {
  prometheus: { apt: 'prometheus', brew: 'prometheus', versionMin: [2, 42] },
  promtool: { apt: 'prometheus', brew: 'prometheus', versionMin: [2, 42] },
  amtool: { apt: 'prometheus-alertmanager', brew: 'alertmanager', versionMin: [0, 25] },
};
const unpacked = join(homedir(), '.cache', 'inferry-tools', 'debian');

/**
 * Returns `{ prometheus, promtool, amtool }`, each `{ path, version }`; throws an Error with advice when one
 * of them cannot be had.
 */
export function ensurePrometheus() {
  return Object.fromEntries(Object.keys(tools).map((name) => [name, ensure(name)]));
}

function ensure(name) {
  const present = usable(name);
  if (present !== undefined) return present;
  const { apt, brew, versionMin } = tools[name];
  console.error(`${name} is missing or older than ${versionMin.join('.')}; fetching ${apt}`);
  const tried = exists('apt-get') ? unpack(apt) : installPackage({ apt: [apt], brew });
  const found = usable(name);
  if (found !== undefined) return found;
  throw new Error(
    `${name} ${versionMin.join('.')} or newer is missing and could not be fetched (${tried}). ` +
      'Put prometheus, promtool and amtool on the PATH and run this again: ' +
      'Debian, Ubuntu: sudo apt-get install prometheus prometheus-alertmanager; ' +
      'macOS: brew install prometheus alertmanager; elsewhere: the release archives of Prometheus and Alertmanager.',
  );
}

/** Where a tool of the right version is: on the PATH, or unpacked before. */
function usable(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), join(unpacked, 'usr', 'bin')];
  for (const folder of folders) {
    const path = join(folder, name);
    if (folder === '' || !existsSync(path)) continue;
    const version = versionOf(path);
    if (version !== undefined && isRecent(version, tools[name].versionMin)) {
      return { path, version };
    }
  }
  return undefined;
}

function versionOf(path) {
  const shown = spawnSync(path, ['--version'], { encoding: 'utf8' });
  if (shown.error !== undefined) return undefined;
  return /version (\d+\.\d+\.\d+)/u.exec(shown.stdout + shown.stderr)?.[1];
}

function isRecent(version, [majorMin, minorMin]) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > majorMin || (major === majorMin && minor >= minorMin);
}

/** Fetches a Debian package and moves its programs to where `usable` looks. Needs no root once lists are there. */
function unpack(name) {
  const bin = join(unpacked, 'usr', 'bin');
  mkdirSync(bin, { recursive: true });
  const folder = mkdtempSync(join(unpacked, 'fetch-'));
  try {
    if (!run('apt-get', ['download', '-qq', name], folder)) {
      // Without lists of packages, which a fresh image has not.
      const isRoot = process.getuid?.() === 0;
      const update = ['apt-get', 'update', '-qq'];
      const [binary, ...rest] = isRoot ? update : ['sudo', '-n', ...update];
      run(binary, rest, folder);
      run('apt-get', ['download', '-qq', name], folder);
    }
    const file = readdirSync(folder).find((entry) => entry.endsWith('.deb'));
    if (file === undefined) return `apt-get download ${name}`;
    run('dpkg-deb', ['-x', file, 'tree'], folder);
    const programs = join(folder, 'tree', 'usr', 'bin');
    // One by one, and by a rename: another process may be running the same program or doing the same.
    for (const program of readdirSync(programs)) {
      renameSync(join(programs, program), join(bin, program));
    }
    return `apt-get download ${name}, unpacked in ${unpacked}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function exists(binary) {
  return spawnSync(binary, ['--version'], { stdio: 'ignore' }).error === undefined;
}

/** Output goes to stderr. True when it ended well. */
function run(binary, argv, cwd) {
  return spawnSync(binary, argv, { cwd, stdio: ['ignore', 2, 2], timeout: 300_000 }).status === 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    for (const [name, { path, version }] of Object.entries(ensurePrometheus())) {
      console.log(`${name} ${version} ${path}`);
    }
  } catch (cause) {
    console.error(cause.message);
    process.exit(1);
  }
}
