/** Texts are cut, marked and padded as the model declares; the tokenizer itself is tested beside. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  ModelManifest,
  PipelineRow,
  TensorSpec,
  TextSpec,
  TokenizerJson,
} from '@inferry/contracts';
import { describe, expect, test } from 'vitest';
import { textTensors } from './text-tensors.ts';
import { tokenizerOf } from './tokenizer.ts';
import { Tokenizers } from './tokenizers.ts';

const json: TokenizerJson = {
  pre_tokenizer: { type: 'WhitespaceSplit' },
  model: { type: 'WordPiece', vocab: { '[PAD]': 0, '[UNK]': 1, a: 5, b: 6, c: 7, d: 8 } },
  post_processor: {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '<', type_id: 2 } },
      { Sequence: { id: 'A', type_id: 1 } },
      { SpecialToken: { id: '>', type_id: 2 } },
    ],
    special_tokens: { '<': { ids: [2] }, '>': { ids: [3] } },
  },
};
const tokenizer = tokenizerOf(json);
const spec: TextSpec = {
  kind: 'text',
  input: 'text',
  tokenizerFile: '/nowhere',
  bytesMax: 20,
  lengthMax: 6,
  overflow: 'truncate',
  truncationSide: 'right',
  hasSpecialTokens: true,
  buckets: [4, 6],
  padding: { id: 9, typeId: 4, side: 'right' },
  tensors: { ids: 'i', mask: 'm', types: 't' },
};
const inputs: readonly TensorSpec[] = ['i', 'm', 't'].map((name) => ({
  name,
  datatype: 'INT64',
  shape: [-1, -1],
}));

function filled(
  changes: Partial<TextSpec>,
  ...texts: readonly string[]
): Record<string, number[][]> {
  const rows = texts.map((text) => ({ text }));
  const tensors = textTensors({ ...spec, ...changes }, tokenizer, inputs, rows);
  if (!tensors.ok) throw new Error(tensors.error.detail);
  return Object.fromEntries(
    tensors.value.tensors.map(({ name, shape: [count = 0, length = 0], bytes }) => {
      const values = Array.from(new BigInt64Array(bytes.buffer), Number);
      const lines = Array.from({ length: count }, (_, i) =>
        values.slice(i * length, (i + 1) * length),
      );
      return [name, lines];
    }),
  );
}

function problemsOf(changes: Partial<TextSpec>, ...rows: readonly PipelineRow[]): unknown {
  const tensors = textTensors({ ...spec, ...changes }, tokenizer, inputs, rows);
  return tensors.ok ? [] : tensors.error.extras?.['errors'];
}

describe('texts', () => {
  test('are padded to the smallest bucket that holds the longest of them', () => {
    expect(filled({}, 'a')).toEqual({ i: [[2, 5, 3, 9]], m: [[1, 1, 1, 0]], t: [[2, 1, 2, 4]] });
    expect(filled({}, 'a', 'a b c')).toMatchObject({
      i: [
        [2, 5, 3, 9, 9, 9],
        [2, 5, 6, 7, 3, 9],
      ],
    });
  });

  test('are padded on the left where the model was trained so', () => {
    const left = filled({ padding: { ...spec.padding, side: 'left' } }, 'a');
    expect(left).toEqual({ i: [[9, 2, 5, 3]], m: [[0, 1, 1, 1]], t: [[4, 2, 1, 2]] });
  });

  test('with too many tokens lose their end or their beginning, never the marks', () => {
    expect(filled({}, 'a b c d a b')).toMatchObject({ i: [[2, 5, 6, 7, 8, 3]] });
    expect(filled({ truncationSide: 'left' }, 'a b c d a b')).toMatchObject({
      i: [[2, 7, 8, 5, 6, 3]],
    });
    expect(filled({ hasSpecialTokens: false }, 'a b c d a b c')).toMatchObject({
      i: [[5, 6, 7, 8, 5, 6]],
    });
  });

  test('count the elements of all inputs that no token fills', () => {
    const paddedOf = (...texts: readonly string[]): unknown => {
      const filled = textTensors(
        spec,
        tokenizer,
        inputs,
        texts.map((text) => ({ text })),
      );
      return filled.ok && filled.value.paddedElements;
    };
    expect([paddedOf('a b c d'), paddedOf('a'), paddedOf('a', 'a b c')]).toEqual([0, 3, 12]);
  });

  test('fill INT32 inputs too', () => {
    const narrow = [{ name: 'i', datatype: 'INT32', shape: [-1, -1] }] as const;
    const tensors = textTensors(spec, tokenizer, narrow, [{ text: 'b' }]);
    expect(
      tensors.ok && [
        ...new Int32Array(tensors.value.tensors[0]?.bytes.buffer ?? new ArrayBuffer()),
      ],
    ).toEqual([2, 6, 3, 9]);
  });

  test('are refused, each with its row and the limit', () => {
    const long = { text: 'a b c d a b' };
    expect(
      problemsOf({ overflow: 'refuse' }, long, { text: 'x'.repeat(21) }, { text: 1 }, { txt: 'a' }),
    ).toEqual([
      'row 0: "text" has 8 tokens; at most 6 are taken',
      'row 1: "text" has 21 bytes; at most 20 are taken',
      'row 2: "text" must be text',
      'row 3: "txt" is not an input of this model',
      'row 3: "text" is missing',
    ]);
    expect(problemsOf({ hasSpecialTokens: false }, { text: ' ' })).toEqual([
      '"text" has no tokens',
    ]);
  });

  test('are refused with long runs of combining marks, which take long to bring into order', () => {
    const marks = (count: number) => ({ text: `a${'\u0301\u0316'.repeat(count / 2)} a` });
    const limits = { bytesMax: 2_000, lengthMax: 600, buckets: [600], hasSpecialTokens: false };
    expect(problemsOf(limits, marks(256))).toEqual([]);
    expect(problemsOf(limits, marks(258))).toEqual([
      '"text" has more than 256 combining marks in a row',
    ]);
  });

  test.each<TokenizerJson['model']>([
    { type: 'WordPiece', vocab: { a: 0 } },
    { type: 'BPE', vocab: { a: 0 }, merges: [], unk_token: '<unk>' },
    { type: 'Unigram', vocab: [['a', -1]] },
    { type: 'Unigram', vocab: [['a', -1]], byte_fallback: true },
  ])('are refused for a character that has no token, nor what is unknown: %j', (model) => {
    const unknowing = tokenizerOf({ model });
    const encode = (text: string) => textTensors(spec, unknowing, inputs.slice(0, 1), [{ text }]);
    expect(encode('a').ok).toBe(true);
    expect(encode('\u00e9')).toMatchObject({
      ok: false,
      error: {
        code: 'input_rejected',
        detail: '"text" has a character that the tokenizer has no token for',
      },
    });
  });
});

describe('the tokenizers of a thread', () => {
  test('are read once for each model, and again after a failure', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'inferry-tokenizer-'));
    const at = { ...spec, tokenizerFile: join(folder, 'tokenizer.json') };
    const manifest = { digest: 'd' } as ModelManifest;
    const tokenizers = new Tokenizers();
    expect(await tokenizers.of(manifest, at)).toMatchObject({ ok: false });
    await writeFile(at.tokenizerFile, JSON.stringify(json));
    const first = await tokenizers.of(manifest, at);
    expect(first.ok && first.value.encode('a b')).toEqual({ ok: true, value: [5, 6] });
    await rm(folder, { recursive: true });
    expect(await tokenizers.of(manifest, at)).toBe(first);
  });
});
