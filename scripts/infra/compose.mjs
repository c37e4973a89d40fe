/**
 * Reads docker-compose.yml with the library that `docker compose` itself is built on: interpolation, the schema of
 * the Compose Specification, whether what is named exists. With nothing set, with everything set, and broken on
 * purpose.
 *
 *     node scripts/infra/compose.mjs
 *
 * As a module: `checkCompose()`. What the file promises beyond that is tested in packages/system-tests.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ensureGoProgram } from '../ensure-go-tool.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const source = fileURLToPath(new URL('compose-config', import.meta.url));
const readMsMax = 30_000;

/** Each breaks the file in one place, and must be refused: [what is replaced, by what, what is said then]. */
const breaks = [
  ['read_only: true\n', 'readonly: true\n', 'readonly'],
  ['replicas: ${INFERRY_WORKERS:-2}', 'replicas: many', 'replicas'],
  ['cpus: ', 'cpu: ', 'cpu'],
  ['${PROMETHEUS_PORT:-9090}', '${PROMETHEUS_PORT:-9090', 'invalid interpolation'],
  ['redis: { condition', 'rediss: { condition', 'rediss'],
  ['networks: [data, metrics]', 'networks: [data, metric]', 'metric'],
];

/** Returns a line that says what was checked; throws an Error that says what is wrong. */
export function checkCompose() {
  const tool = ensureGoProgram(source);
  const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8');
  const plain = read(tool, text, {});
  if (plain.services.grafana.environment.GF_AUTH_DISABLE_LOGIN_FORM !== 'true') {
    throw new Error('without GRAFANA_ADMIN_PASSWORD there is a way to log in');
  }
  const names = [...new Set([...text.matchAll(/\$\{(\w+)/gu)].map(([, name]) => name))];
  const values = Object.fromEntries(names.map((name, i) => [name, String(1_000 + i)]));
  const full = JSON.stringify(read(tool, text, values));
  const unused = names.filter((name) => !full.includes(values[name]));
  if (unused.length > 0) throw new Error(`${unused.join(', ')}: set, but not in what is read`);
  for (const [wanted, broken, says] of breaks) {
    if (!text.includes(wanted)) throw new Error(`docker-compose.yml has no "${wanted.trim()}"`);
    const refusal = refusalOf(tool, text.replaceAll(wanted, broken));
    if (!refusal.includes(says)) throw new Error(`"${broken.trim()}" is not refused: ${refusal}`);
  }
  const services = Object.keys(plain.services);
  return `${services.length} services, ${names.length} variables, ${breaks.length} mistakes refused`;
}

function read(tool, text, values) {
  const { status, stdout, stderr } = run(tool, text, values);
  if (status !== 0) throw new Error(`docker-compose.yml is refused: ${stderr}`);
  return JSON.parse(stdout);
}

function refusalOf(tool, text) {
  const { status, stderr } = run(tool, text, {});
  return status === 0 ? '' : stderr;
}

/** In a folder of its own, so that no .env of the checkout plays a part. */
function run(tool, text, values) {
  const folder = mkdtempSync(join(tmpdir(), 'inferry-compose-'));
  try {
    writeFileSync(join(folder, 'docker-compose.yml'), text);
    return spawnSync(tool, ['docker-compose.yml'], {
      cwd: folder,
      env: { PATH: process.env.PATH, ...values },
      encoding: 'utf8',
      timeout: readMsMax,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    console.log(`docker-compose.yml: ${checkCompose()}`);
  } catch (cause) {
    console.error(cause.message);
    process.exit(1);
  }
}
