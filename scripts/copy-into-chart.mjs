/**
 * Copies the alert rules and dashboards into the Helm chart, which can only read what lies in it. Run it
 * after one of them changed: `node scripts/copy-into-chart.mjs`. A test compares the copies (`copiesInto`).
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = join(root, 'infra', 'helm', 'inferry', 'files');

const copies = [
  { from: join('infra', 'prometheus', 'rules'), to: 'rules', suffix: '.yml' },
  { from: join('infra', 'grafana', 'dashboards'), to: 'dashboards', suffix: '.json' },
];

/** The API server takes no larger ConfigMap; a little of it is labels. */
const configMapBytesMax = 1_000_000;

/** The folders that are copied: where the files are, and where their copies belong. */
export function chartCopies() {
  return copies.map(({ from, to, suffix }) => ({
    source: join(root, from),
    copy: join(files, to),
    suffix,
  }));
}

function copyAll() {
  for (const { source, copy, suffix } of chartCopies()) {
    const names = readdirSync(source).filter((name) => name.endsWith(suffix));
    rmSync(copy, { recursive: true, force: true });
    mkdirSync(copy, { recursive: true });
    for (const name of names) {
      const { size } = statSync(join(source, name));
      if (size > configMapBytesMax) {
        throw new Error(
          `${name} has ${size} bytes; a ConfigMap takes ${configMapBytesMax} (an object of 1 MiB)`,
        );
      }
      writeFileSync(join(copy, name), readFileSync(join(source, name)));
    }
    console.log(`${names.length} files in ${copy}`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) copyAll();
