import { readFileSync } from 'node:fs';
import { repositoryFiles, repositoryPath } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { editModelYaml, type TunedSettings } from './edit-model-yaml.ts';
import { parseModelYaml } from './model-yaml.ts';

const tuned: TunedSettings = {
  maxBatchSize: 16,
  latencyTargetMs: 50,
  instances: { kind: 'cpu', count: 2 },
  intraOpThreads: 4,
};

function edited(text: string, settings: TunedSettings = tuned): string {
  const result = editModelYaml(text, settings);
  if (!result.ok) throw new Error(result.error);
  const parsed = parseModelYaml('model.yaml', result.value);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  const { config } = parsed.value;
  expect(config).toMatchObject({ max_batch_size: 16, latency_target_ms: 50 });
  expect(config.instances).toContainEqual({ kind: 'cpu', count: 2 });
  expect(config.session.intra_op_threads).toBe(4);
  return result.value;
}

test('an empty file gets the settings and nothing else', () => {
  expect(edited('')).toBe(
    'instances:\n  - kind: cpu\n    count: 2\nmax_batch_size: 16\nlatency_target_ms: 50\nsession:\n  intra_op_threads: 4\n',
  );
});

test('values are replaced where they stand; every other character stays', () => {
  const text = `# The model of the shop.
max_batch_size:   64   # was 32
latency_target_ms: 100.50
instances:
    - kind: cuda
      count: 3
    - count: 1 # sessions
      kind: cpu

session: {intra_op_threads: 1, graph_optimization: all} # flow
preprocess:
  image: { size: [32, 32], scale: 1.0e-2 }
# The end.
`;
  expect(edited(text)).toBe(
    text
      .replace('64', '16')
      .replace('100.50', '50')
      .replace('count: 1', 'count: 2')
      .replace('intra_op_threads: 1', 'intra_op_threads: 4'),
  );
});

test.each([
  ['a list of other devices', 'instances:\n- kind: cuda # gpu\n'],
  ['a list in flow style', 'instances: [{ kind: cuda }] # gpu\n'],
  [
    'a group that has no count',
    'instances:\n  - kind: cpu\nsession:\n  graph_optimization: all # x\n',
  ],
  ['an empty map', 'session: {}\nqueue:\n  weight: 2'],
  ['a comment at the end without a line break', 'queue:\n  weight: 2 # of 3'],
  ['nothing but a comment', '# nothing yet\n'],
  ['comments below the last key', 'session:\n  graph_optimization: all\n  # more\n\n# end\n'],
])('keys that are missing are added: %s', (_, text) => {
  const after = edited(text);
  const kept = text.split('\n').filter((line) => line.includes('#'));
  for (const line of kept) expect(after).toContain(line.slice(line.indexOf('#')));
});

test('every model.yaml of this repository keeps all of its lines but those that change', () => {
  const files = repositoryFiles().filter(({ path }) => path.endsWith('/model.yaml'));
  expect(files.length).toBeGreaterThan(2);
  for (const { path } of files) {
    const text = readFileSync(repositoryPath(path), 'utf8');
    const after = editModelYaml(text, tuned);
    if (!after.ok) throw new Error(`${path}: ${after.error}`);
    const changed = /max_batch_size:|latency_target_ms:|count:|intra_op_threads:/u;
    const lines = text.split('\n').filter((line) => !changed.test(line));
    expect(after.value.split('\n')).toEqual(expect.arrayContaining(lines));
  }
});

test('a value behind an alias is left to a person', () => {
  const text = 'queue: &q { weight: 2 }\nsession: *q\n';
  expect(editModelYaml(text, tuned)).toEqual({
    ok: false,
    error: expect.stringContaining('cannot be edited in place'),
  });
});

test('settings that are null stay as they are', () => {
  const text = 'max_batch_size: 0\ninstances: [{ kind: cuda, count: 1 }]\n';
  const settings = { ...tuned, maxBatchSize: null, latencyTargetMs: null, intraOpThreads: null };
  expect(editModelYaml(text, settings)).toEqual({
    ok: true,
    value: 'max_batch_size: 0\ninstances: [{ kind: cuda, count: 1 }, { kind: cpu, count: 2 }]\n',
  });
});
