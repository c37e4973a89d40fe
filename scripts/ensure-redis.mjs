/**
 * Makes sure that `redis-server` 6.2 or newer can be started, installing it with the system's own
 * package tool when it is missing. Ends with status 1 and a plain message when that is impossible:
 * nothing that needs Redis is ever skipped. Also usable as a module: `ensureRedis()`.
 */
import { spawnSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { installPackage } from './install-package.mjs';

const versionMin = [6, 2];

/** Returns the version text; throws an Error with advice when there is no usable server. */
export function ensureRedis() {
  const present = installedVersion();
  if (present !== undefined && isRecent(present)) return present;
  const found =
    present === undefined ? 'redis-server is missing' : `redis-server ${present} is too old`;
  console.error(`${found}; installing it`);
  const tried = installPackage({ apt: ['redis-server'], brew: 'redis' });
  const version = installedVersion();
  if (version !== undefined && isRecent(version)) return version;
  throw new Error(
    `${found} and could not be installed (${tried}). Install Redis ${versionMin.join('.')} or newer and run this again: ` +
      'Debian, Ubuntu: sudo apt-get install redis-server; macOS: brew install redis; ' +
      'elsewhere: put a redis-server binary on the PATH.',
  );
}

function installedVersion() {
  const shown = spawnSync('redis-server', ['--version'], { encoding: 'utf8' });
  if (shown.error !== undefined) return undefined;
  return /v=(\d+\.\d+\.\d+)/u.exec(shown.stdout)?.[1];
}

function isRecent(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > versionMin[0] || (major === versionMin[0] && minor >= versionMin[1]);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    console.log(`redis-server ${ensureRedis()}`);
  } catch (cause) {
    console.error(cause.message);
    process.exit(1);
  }
}
