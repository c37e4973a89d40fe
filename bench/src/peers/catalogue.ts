/**
 * The peers of a folder: its `peers.json` says how each is started, its `setup.sh` builds what they need
 * into `$PEER_LAB` (what is built) and `$PEER_DATA` (models and payloads).
 */
import { execFile } from 'node:child_process';
import { access, chmod, constants, cp, readdir, readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';

const peerSchema = z.object({
  venv: z.string().optional(),
  dir: z.string(),
  port: z.int().min(1).max(65_535),
  path: z.string().startsWith('/'),
  payload: z.enum(['published', 'bentoml', 'v2']).default('published'),
  env: z.record(z.string(), z.string()).default({}),
  cmd: z.array(z.string()).min(1),
});

/** How a peer is started, all places filled in. */
export interface Peer {
  readonly name: string;
  readonly url: string;
  readonly port: number;
  /** Which form of the payload it takes. */
  readonly payload: 'published' | 'bentoml' | 'v2';
  readonly command: readonly [string, ...string[]];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

interface Entry {
  readonly name: string;
  readonly said: z.infer<typeof peerSchema>;
}

/** Setting one peer up may compile and download. */
const setupMaxMs = 30 * 60_000;
const outputMaxBytes = 64 * 1024 * 1024;

/** The peers of these names (`all`: every one), set up where they were not. Throws where a name is unknown or a set-up fails. */
export async function openPeers(
  directory: string,
  names: readonly string[],
  say: (line: string) => void,
): Promise<readonly Peer[]> {
  const entries = await read(resolve(directory));
  const unknown = names.filter(
    (name) => name !== 'all' && !entries.some((one) => one.name === name),
  );
  if (unknown.length > 0) {
    const known = entries.map(({ name }) => name).join(', ');
    throw new Error(`${unknown.join(', ')}: no such peer in ${directory}; there are ${known}`);
  }
  const wanted = names.includes('all')
    ? entries
    : entries.filter(({ name }) => names.includes(name));
  const lab = resolve(process.env['PEER_LAB'] ?? join(homedir(), '.cache/inferry-peers'));
  const data = resolve(process.env['PEER_DATA'] ?? join(lab, 'data'));
  const places = { lab, data, sources: await writable(resolve(directory), lab) };
  for (const entry of wanted) {
    // One after the other: the machine's cores are few, and later peers use what earlier ones built.
    if (!(await isSetUp(entry, places))) await setUp(entry, places, say);
  }
  return wanted.map((entry) => filledIn(entry, places));
}

async function read(directory: string): Promise<readonly Entry[]> {
  const file = join(directory, 'peers.json');
  const all = z.record(z.string(), peerSchema).parse(JSON.parse(await readFile(file, 'utf8')));
  return Object.entries(all).map(([name, said]) => ({ name, said }));
}

interface Places {
  readonly lab: string;
  readonly data: string;
  readonly sources: string;
}

/** The folder itself, or a copy of it where it cannot be written to: a set-up installs packages into it. */
async function writable(directory: string, lab: string): Promise<string> {
  // The administrator may write anywhere; the mode says what was meant.
  const isMeant = ((await stat(directory)).mode & 0o222) !== 0;
  if (isMeant && (await isThere(directory, constants.W_OK))) return directory;
  const copy = join(lab, 'sources');
  await cp(directory, copy, { recursive: true, force: true });
  for (const entry of await readdir(copy, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink() || entry.parentPath.includes('node_modules')) continue;
    const isProgram = entry.isDirectory() || entry.name.endsWith('.sh');
    await chmod(join(entry.parentPath, entry.name), isProgram ? 0o755 : 0o644);
  }
  return copy;
}

function venvBin({ said }: Entry, { lab }: Places): string {
  return join(lab, 'venvs', said.venv ?? 'core', 'bin');
}

/** The command, its environment of Python or Node packages, and the models are there. */
async function isSetUp(entry: Entry, places: Places): Promise<boolean> {
  const folder = join(places.sources, entry.said.dir);
  const needed = [
    join(places.data, 'mobilenetv3.onnx'),
    join(venvBin(entry, places), 'python'),
    resolve(folder, filledIn(entry, places).command[0]),
  ];
  if (await isThere(join(folder, 'package.json'))) needed.push(join(folder, 'node_modules'));
  return (await Promise.all(needed.map((path) => isThere(path)))).every(Boolean);
}

async function setUp(entry: Entry, places: Places, say: (line: string) => void): Promise<void> {
  say(`${entry.name} is not set up: running setup.sh (minutes)`);
  const venvs = new Set(['core', entry.said.venv ?? 'core']);
  await promisify(execFile)(join(places.sources, 'setup.sh'), [...venvs], {
    cwd: places.sources,
    env: { ...process.env, PEER_LAB: places.lab, PEER_DATA: places.data },
    timeout: setupMaxMs,
    maxBuffer: outputMaxBytes,
  });
  if (!(await isSetUp(entry, places))) {
    throw new Error(`setup.sh ended well, yet ${entry.name} lacks something it needs`);
  }
}

function filledIn(entry: Entry, places: Places): Peer {
  const { name, said } = entry;
  const bin = venvBin(entry, places);
  const values = new Map([
    ['VENV', bin],
    ['PORT', String(said.port)],
    ['DATA', places.data],
  ]);
  const fill = (text: string): string =>
    text.replaceAll(/\$\{(\w+)\}/gu, (all, key: string) => values.get(key) ?? all);
  const [program = '', ...args] = said.cmd.map(fill);
  return {
    name,
    url: `http://127.0.0.1:${said.port}${said.path}`,
    port: said.port,
    payload: said.payload,
    command: [program, ...args],
    cwd: join(places.sources, said.dir),
    env: {
      PYTHONPATH: join(places.sources, 'common'),
      PORT: String(said.port),
      PEER_DATA: places.data,
      // One thread a session, as ours has: on few cores more of them only get in each other's way.
      OMP_NUM_THREADS: '1',
      PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}`,
      ...Object.fromEntries(Object.entries(said.env).map(([key, text]) => [key, fill(text)])),
    },
  };
}

function isThere(path: string, mode = constants.F_OK): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
