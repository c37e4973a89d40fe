import fc from 'fast-check';
import { expect, test } from 'vitest';
import { editVersionsYaml, type VersionsEdit } from './edit-versions-yaml.ts';
import { parseVersionsYaml } from './versions-yaml.ts';

function edited(text: string, edit: VersionsEdit): string {
  const result = editVersionsYaml(text, edit);
  if (!result.ok) throw new Error(result.error);
  const parsed = parseVersionsYaml('versions.yaml', result.value);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  for (const section of ['labels', 'traffic', 'previous'] as const) {
    if (section in edit) expect(parsed.value.config[section] ?? {}).toEqual(edit[section]);
  }
  return result.value;
}

test('an empty text gets the sections and nothing else', () => {
  expect(edited('', { labels: { stable: '2' }, traffic: {} })).toBe('labels:\n  stable: "2"\n');
});

test('comments and order stay', () => {
  const text = `# Owned by the search team.
policy: { latest: 2 } # enough for a rollback

# Ask before you change these.
labels:
  # since spring
  stable: 2 # good
  canary: "3"
  old: "1"
traffic: { "2": 90, "3": 10 } # careful
`;
  expect(
    edited(text, {
      labels: { stable: '3', canary: '4' },
      traffic: { 3: 50, 4: 50 },
      previous: { stable: '2' },
    }),
  ).toBe(`# Owned by the search team.
policy: { latest: 2 } # enough for a rollback

# Ask before you change these.
labels:
  # since spring
  stable: "3" # good
  canary: "4"
traffic: { "3": 50, "4": 50 } # careful
previous:
  stable: "2"
`);
});

test.each([
  ['of comments alone', '# nothing yet\n'],
  ['that says nothing in so many words', 'null\n'],
  ['without an end of line', 'policy: all'],
  ['with keys that are numbers', 'traffic: {1: 5, 2: 5}\n'],
  ['with Windows line ends', 'labels:\r\n  stable: "1" # x\r\n'],
])('a text %s', (_, text) => {
  const after = edited(text, { labels: { stable: '2' }, traffic: { 2: 1 } });
  for (const comment of text.match(/#[^\r\n]*/gu) ?? []) expect(after).toContain(comment);
});

test('a section that becomes empty keeps its comment', () => {
  const after = edited('traffic: # for now\n  "2": 90\n', { traffic: {} });
  expect(after).toContain('# for now');
});

test('an alias in place of a section is not edited', () => {
  const text = 'labels: &a {stable: "1"}\nprevious: *a\n';
  expect(editVersionsYaml(text, { previous: { stable: '2' } })).toEqual({
    ok: false,
    error: 'previous is written in a way that cannot be edited',
  });
  // What an alias elsewhere refers to would change with the section.
  expect(editVersionsYaml('labels: {a: &v "1", b: *v}', { labels: { a: '2', b: '1' } }).ok).toBe(
    true,
  );
});

const version = fc.nat({ max: 50 }).map((n) => String(n + 1));
const label = fc.stringMatching(/^[a-z][a-z0-9._-]{0,8}$/u);
const edits = fc.record(
  {
    labels: fc.dictionary(label, version, { maxKeys: 4, noNullPrototype: true }),
    traffic: fc.dictionary(
      version,
      fc.nat({ max: 99 }).map((n) => n + 1),
      { maxKeys: 4, noNullPrototype: true },
    ),
    previous: fc.dictionary(label, version, { maxKeys: 2, noNullPrototype: true }),
  },
  { requiredKeys: [] },
);

test('after any edits the last word on each section counts', () => {
  fc.assert(
    fc.property(fc.array(edits, { maxLength: 5 }), (all) => {
      const text = all.reduce((before, edit) => edited(before, edit), '# mine\n');
      const parsed = parseVersionsYaml('versions.yaml', text);
      const wanted: VersionsEdit = Object.assign({}, ...all);
      for (const section of ['labels', 'traffic', 'previous'] as const) {
        const told = parsed.ok ? (parsed.value.config[section] ?? {}) : null;
        expect(told).toEqual(wanted[section] ?? {});
      }
      expect(text).toContain('# mine');
    }),
    { numRuns: 100 },
  );
});
