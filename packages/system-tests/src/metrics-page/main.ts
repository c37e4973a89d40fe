/** Writes docs/metrics.md. */
import { writeFile } from 'node:fs/promises';
import { repositoryPath } from '@inferry/testkit';
import { metricsPage } from './page.ts';

await writeFile(repositoryPath('docs/metrics.md'), await metricsPage());
