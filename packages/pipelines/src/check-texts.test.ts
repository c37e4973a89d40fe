/** A worker does not start with a tokenizer that cannot be used. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelManifest, PreTokenizerJson } from '@inferry/contracts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkTexts } from './check-texts.ts';
import { openPreparer } from './preparer.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-texts-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function check(expression: string, lengthMax = 8) {
  const split: PreTokenizerJson = {
    type: 'Split',
    pattern: { Regex: expression },
    behavior: 'Removed',
  };
  const model = { type: 'WordPiece', vocab: { '[UNK]': 0 } };
  const tokenizerFile = join(folder, 'tokenizer.json');
  await writeFile(tokenizerFile, JSON.stringify({ pre_tokenizer: split, model }));
  const manifest = {
    digest: expression,
    maxBatchSize: 1,
    inputs: [{ name: 'ids', datatype: 'INT64', shape: [-1, -1] }],
    preprocess: {
      kind: 'text',
      input: 'text',
      tokenizerFile,
      bytesMax: 1000,
      lengthMax,
      overflow: 'refuse',
      truncationSide: 'right',
      hasSpecialTokens: true,
      buckets: [lengthMax],
      padding: { id: 0, typeId: 0, side: 'right' },
      tensors: { ids: 'ids', mask: null, types: null },
    },
    postprocess: { kind: 'none' },
  } as unknown as ModelManifest;
  const preparer = await openPreparer({ jpegDecoder: 'sharp' });
  if (!preparer.ok) throw new Error(preparer.error);
  try {
    return await checkTexts(preparer.value, [manifest]);
  } finally {
    preparer.value.close();
  }
}

test('a tokenizer that works is no problem, nor a text that is too long for the model', async () => {
  expect(await check(String.raw`\s+`, 16)).toEqual({ ok: true, value: undefined });
  expect(await check(String.raw`\s+`, 1)).toEqual({ ok: true, value: undefined });
});

test('an expression that cannot be translated is told with its file', async () => {
  const checked = await check('(?<open');
  expect(checked).toMatchObject({ ok: false, error: { code: 'model_error' } });
  expect(checked.ok ? '' : checked.error.detail).toContain(join(folder, 'tokenizer.json'));
});
