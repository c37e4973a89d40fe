/**
 * Makes sure that a local S3 server for tests can be started: moto, from the Python package index, in the versions
 * of s3-server-requirements.txt, in an environment of its own under `~/.cache/inferry-tools`. Python comes from the
 * PATH; what Debian leaves out of it is installed. Ends with status 1 and a plain message when that is impossible:
 * nothing that needs S3 is ever skipped. Also usable as a module: `ensureS3Server()`.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { installPackage } from './install-package.mjs';

const requirements = fileURLToPath(new URL('s3-server-requirements.txt', import.meta.url));
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'inferry-tools');
const fetchMsMax = 5 * 60_000;

/** Returns the path of a Python that has moto; throws an Error with advice when it cannot be had. */
export function ensureS3Server() {
  const version = spawnSync('python3', ['--version'], { encoding: 'utf8' }).stdout ?? '';
  const wanted = createHash('sha256').update(readFileSync(requirements)).update(version);
  const kept = join(cache, `s3-server-${wanted.digest('hex').slice(0, 16)}`);
  const python = join(kept, 'bin', 'python');
  if (existsSync(python)) return python;
  console.error('the S3 server of the tests is missing; fetching moto, some seconds');
  mkdirSync(cache, { recursive: true });
  // Beside its place, and then a rename: another process may be doing the same.
  const folder = mkdtempSync(join(cache, 'fetch-'));
  try {
    if (!run('python3', ['-m', 'venv', folder])) {
      installPackage({ apt: ['python3-venv'], brew: 'python' });
      run('python3', ['-m', 'venv', '--clear', folder]);
    }
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    const isThere = run(join(folder, 'bin', 'python'), [...pip, '--requirement', requirements]);
    if (isThere && !existsSync(kept)) renameSync(folder, kept);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (existsSync(python)) return python;
  throw new Error(
    'the S3 server of the tests could not be fetched (messages are above). It needs python3 with venv and a ' +
      'package index: Debian, Ubuntu: sudo apt-get install python3-venv; macOS: brew install python',
  );
}

/** Output goes to stderr. True when it ended well. */
function run(binary, argv) {
  return spawnSync(binary, argv, { stdio: ['ignore', 2, 2], timeout: fetchMsMax }).status === 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    console.log(ensureS3Server());
  } catch (cause) {
    console.error(cause.message);
    process.exit(1);
  }
}
