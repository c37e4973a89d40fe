/** docs/triton.md says of every field what becomes of it. */
import { readFileSync } from 'node:fs';
import { repositoryPath } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { modelConfigType } from './config-schema.ts';
import type { MessageType } from './schema-types.ts';

const page = readFileSync(repositoryPath('docs/triton.md'), 'utf8');
/** Those with fields that are honoured, or not, one by one. */
const inDetail = ['input', 'output', 'instance_group', 'optimization', 'dynamic_batching'];
const notNamed = ['name', 'input_pinned_memory', 'output_pinned_memory'];

test('every field is in the table', () => {
  const names = [
    ...Object.keys(modelConfigType.fields),
    ...inDetail.flatMap((field) => {
      const type = modelConfigType.fields[field]?.type as MessageType;
      return Object.keys(type.fields).filter((name) => !notNamed.includes(name));
    }),
  ];
  const rows = page.split('\n').filter((line) => line.startsWith('| '));
  const named = rows.map((row) => row.split('|')[1] ?? '').join(' ');
  const missing = names.filter((name) => !new RegExp(`[\`.]${name}[\`.]`, 'u').test(named));
  expect(missing).toEqual([]);
});
