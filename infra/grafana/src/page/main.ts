/**
 * `npm run docs:panels`: writes `docs/panels.md`. What each query returned comes from a file that the test
 * with a real Prometheus writes, named by INFERRY_PANEL_VALUES: see `docs/operations.md`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { boards } from '../boards.ts';
import { buildBoard } from '../build.ts';
import { mayBeEmpty } from '../files.ts';
import { panelsPage, type PanelValues } from './panels-page.ts';

const file = process.env['INFERRY_PANEL_VALUES'] ?? '';
if (file === '') {
  console.error('INFERRY_PANEL_VALUES must name the file with the values of the panels');
  process.exit(2);
}
const values = JSON.parse(readFileSync(file, 'utf8')) as PanelValues;
const page = fileURLToPath(new URL('../../../../docs/panels.md', import.meta.url));
writeFileSync(
  page,
  panelsPage(
    boards.map((board) => buildBoard(board)),
    values,
    mayBeEmpty(),
  ),
);
console.log('docs/panels.md');
