/** Installs a package with the system's own tool: apt-get or Homebrew. */
import { spawnSync } from 'node:child_process';

/**
 * `apt` names the package as distributions do, the first that is known is taken. Returns what was tried,
 * for people; whether it worked shows in the check that follows.
 */
export function installPackage({ apt, brew }) {
  if (exists('apt-get')) {
    const isRoot = process.getuid?.() === 0;
    if (!isRoot && !canSudo()) return 'apt-get needs root, and sudo asks for a password';
    const prefix = isRoot ? [] : ['sudo', '-n'];
    // Debian's packages of servers would start one of their own.
    const environment = ['env', 'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1'];
    run([...prefix, ...environment, 'apt-get', 'update', '-qq']);
    const options = ['install', '-y', '-qq', '--no-install-recommends'];
    apt.some((name) => run([...prefix, ...environment, 'apt-get', ...options, name]));
    return `apt-get install ${apt.join(' or ')}`;
  }
  if (exists('brew')) {
    run(['brew', 'install', brew]);
    return `brew install ${brew}`;
  }
  return 'neither apt-get nor brew is here';
}

function exists(binary) {
  return spawnSync(binary, ['--version'], { stdio: 'ignore' }).error === undefined;
}

function canSudo() {
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
}

/** Output goes to stderr. True when it ended well. */
function run([binary, ...rest]) {
  return spawnSync(binary, rest, { stdio: ['ignore', 2, 2], timeout: 300_000 }).status === 0;
}
