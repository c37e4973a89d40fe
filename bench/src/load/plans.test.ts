import { readdirSync, readFileSync } from 'node:fs';
import { repositoryPath } from '@inferry/testkit';
import { describe, expect, test } from 'vitest';
import { plans } from './plans.ts';

const scripts = readdirSync(repositoryPath('k6'))
  .filter((name) => name.endsWith('.js'))
  .map((name) => name.replace(/\.js$/u, ''));
const sources = new Map(
  [...scripts, 'lib/client', 'lib/load', 'lib/summary'].map((name) => [
    name,
    readFileSync(repositoryPath(`k6/${name}.js`), 'utf8'),
  ]),
);
const table = readFileSync(repositoryPath('docs/load-tests.md'), 'utf8');

describe('load tests', () => {
  test('every script has a plan, and every plan a script', () => {
    expect(scripts.toSorted()).toEqual(Object.keys(plans).toSorted());
  });

  test.each(scripts)(
    '%s: open load, thresholds, figures as JSON, a row in the document',
    (name) => {
      const source = sources.get(name) ?? '';
      expect(source).toContain('...always,');
      expect(source).toContain(`return summarize('${name}',`);
      expect(source).toContain('summaryTrendStats,');
      expect(source).not.toMatch(/\bsleep\b|constant-vus|ramping-vus|per-vu/u);
      expect(table).toContain(`| \`${name}\``);
    },
  );

  test('nothing is imported from elsewhere', () => {
    for (const source of sources.values()) {
      for (const [, from] of source.matchAll(/ from '([^']+)'/gu)) {
        expect(from).toMatch(/^(?:k6(?:\/[a-z]+)?|\.\/(?:lib\/)?[a-z]+\.js)$/u);
      }
    }
  });

  test('what breaks a script differs from what it holds on', () => {
    for (const { sound, broken } of Object.values(plans)) expect(broken).not.toEqual(sound);
  });
});
