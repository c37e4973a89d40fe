/** `npm run dashboards`: writes the dashboards again, and removes those that are no more. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generatedFiles } from './files.ts';

const folder = fileURLToPath(new URL('..', import.meta.url));
const files = generatedFiles();

mkdirSync(`${folder}dashboards`, { recursive: true });
for (const name of readdirSync(`${folder}dashboards`))
  if (!files.some(({ path }) => path === `dashboards/${name}`))
    rmSync(`${folder}dashboards/${name}`);
for (const { path, text } of files) writeFileSync(folder + path, text);
console.log(`infra/grafana: ${files.map(({ path }) => path).join(', ')}`);
