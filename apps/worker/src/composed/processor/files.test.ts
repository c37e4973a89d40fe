/** What is loaded of the folder of a processor, and what is refused. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  contextOf,
  fp32,
  numbersOf,
  type ProcessorFolder,
  processorFolder,
} from './processor.fixture.ts';

let model: ProcessorFolder;
beforeEach(async () => {
  model = await processorFolder();
});
afterEach(() => model.close());

async function unloadable(text: string, file = 'processor.ts'): Promise<string> {
  await model.put(file, text);
  const program = await model.start({}, file);
  return program.ok ? 'it was loaded' : program.error;
}

describe('the files of a processor', () => {
  test('may lie below a folder of packages, and are stripped of their types there too', async () => {
    const text = 'export const generate = async ({ inputs }: any) => ({ y: inputs.x });';
    const program = await model.load(text, {}, 'node_modules/models/m/processor.ts');
    expect(await program.run([fp32('x', 2)], contextOf())).toMatchObject({ ok: true });
  });

  test('may import each other, with types or without', async () => {
    await model.put('lib/by.ts', 'export const by: number = 3;\n');
    await model.put('scale.mjs', "export { by } from './lib/by.ts';\n");
    const program = await model.load(
      `import { by } from './scale.mjs';
      export const generate = async ({ inputs }) =>
        ({ y: { data: inputs.x.data.map((value) => value * by) } });
`,
      {},
      'processor.mjs',
    );
    const end = await program.run([fp32('x', 2)], contextOf());
    expect(numbersOf(end.ok ? end.value[0] : undefined)).toEqual([6]);
  });

  test.each([
    ['of wrong types', 'const a = 1;\n\nlet b: = 3;\n', /^processor\.ts:3: Unexpected/u],
    [
      'of what is no type alone',
      '\nenum Color { Red }\n',
      /^processor\.ts:2: TypeScript enum is not supported in strip-only mode$/u,
    ],
    ['without generate', 'export default 1;\n', /^processor\.ts must export a function: /u],
    ['that throws at once', "throw new Error('no key file');\n", /^no key file$/u],
    [
      'from outside of its folder',
      "import '/etc/hostname';\n",
      /^processor\.ts: "\/etc\/hostname" is outside of the model's folder$/u,
    ],
    [
      'with types imported as values',
      "import { x } from 'inferry/processor';\nx();\n",
      /^processor\.ts: "inferry\/processor" has types only: write "import type"$/u,
    ],
  ])('%s are refused, with file and line where there is one', async (_, text, reason) => {
    expect(await unloadable(text)).toMatch(reason);
  });

  test('in JavaScript are refused alike, and so are those that they import', async () => {
    expect(await unloadable('export const generate = 1 1;\n', 'processor.js')).toMatch(
      /^processor\.js:1: Expected/u,
    );
    await model.put('broken.ts', 'let x: number =;\n');
    expect(await unloadable("import './broken.ts';\n", 'processor.mjs')).toMatch(
      /^broken\.ts:1: /u,
    );
  });
});
