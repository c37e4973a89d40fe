import { readFileSync } from 'node:fs';
import { repositoryFiles, repositoryPath } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { generatedFiles } from './files.ts';

test('the committed dashboards are what the boards make: npm run dashboards', () => {
  const generated = generatedFiles();
  for (const { path, text } of generated)
    expect(readFileSync(repositoryPath('infra/grafana', path), 'utf8')).toBe(text);
  const committed = repositoryFiles('infra/grafana/dashboards').map(({ path }) => path);
  const dashboards = generated.map(({ path }) => path).filter((path) => path.startsWith('dash'));
  expect(committed).toEqual(dashboards.map((path) => `infra/grafana/${path}`).toSorted());
});

test('what may be empty is asked by the panel it names', () => {
  const of = (path: string): unknown =>
    JSON.parse(generatedFiles().find((file) => file.path === path)?.text ?? 'null');
  const entries = of('may-be-empty.json') as {
    dashboard: string;
    panel: number;
    exprPrefix: string;
    reason: string;
  }[];
  for (const { dashboard, panel, exprPrefix, reason } of entries) {
    const board = of(`dashboards/${dashboard}.json`) as {
      panels: { id: number; targets?: { expr: string }[] }[];
    };
    const targets = board.panels.find(({ id }) => id === panel)?.targets ?? [];
    expect(targets.map(({ expr }) => expr)).toContain(exprPrefix);
    expect(reason).toMatch(/\.$/u);
  }
  expect(entries.length).toBeLessThanOrEqual(6);
});
