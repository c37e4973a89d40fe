/** An unknown key is never passed over, wherever it stands. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseModelYaml } from './model-yaml.ts';
import { modelYamlSchema } from './model-yaml-schema.ts';

const known = new Set<string>(Object.keys(modelYamlSchema.shape));
const inQueue = new Set(Object.keys(modelYamlSchema.shape.queue.unwrap().shape));

test('an unknown key is reported with its own line, at the top and in a section', () => {
  const key = fc.string({ minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(key, fc.boolean(), fc.nat(30), fc.boolean(), (name, isNested, before, isBroken) => {
      fc.pre(!(isNested ? inQueue : known).has(name));
      const padding = Array.from({ length: before }, (_, i) => `# line ${i + 1}`);
      const backend = isBroken ? 'backend: none of them' : 'backend: onnxruntime';
      const quoted = JSON.stringify(name);
      const section = isNested
        ? ['queue:', '  max_linger_ms: 1', `  ${quoted}: 1`]
        : [`${quoted}: 1`];
      const lines = [...padding, backend, ...section];
      const parsed = parseModelYaml('m.yaml', lines.join('\n'));
      const path = isNested ? `queue.${name}` : name;
      expect(parsed).toMatchObject({ ok: false });
      expect(parsed.ok ? [] : parsed.error).toContainEqual({
        file: 'm.yaml',
        line: lines.length,
        message: expect.stringContaining(`${path}: is not known`) as string,
      });
      expect(parsed.ok ? 0 : parsed.error.length).toBe(isBroken ? 2 : 1);
    }),
    { numRuns: 500 },
  );
});
