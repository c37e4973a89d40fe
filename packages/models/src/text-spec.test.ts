/** `preprocess.text` and the tokenizer beside it: defaults, and every contradiction with file and line. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { problemText } from './file-problem.ts';
import { loadRepository } from './load-repository.ts';
import { writeOnnx, type WrittenModel, type WrittenTensor } from './onnx-writer.test.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-text-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** ONNX's number for INT64. */
const int64 = 7;

function ids(name: string, length: number | null = null, type = int64): WrittenTensor {
  return { name, type, shape: [null, length] };
}

const bert: WrittenModel = {
  inputs: [ids('input_ids'), ids('attention_mask')],
  outputs: [{ name: 'scores', type: 1, shape: [null, 2] }],
};

const tokenizer = {
  added_tokens: [{ id: 9, content: '[PAD]' }],
  normalizer: { type: 'BertNormalizer' },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  model: { type: 'WordPiece', vocab: { '[UNK]': 0, a: 1 } },
  post_processor: { type: 'BertProcessing', cls: ['[CLS]', 2], sep: ['[SEP]', 3] },
};

interface Parts {
  readonly model?: WrittenModel;
  readonly tokenizer?: unknown;
}

async function load(section: string, { model = bert, tokenizer: json = tokenizer }: Parts = {}) {
  const put = async (path: string, content: string | Uint8Array): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  };
  await put('m/1/model.onnx', writeOnnx(model));
  await put('m/model.yaml', `preprocess:\n  text: ${section}\n`);
  if (json !== null)
    await put('m/tokenizer.json', typeof json === 'string' ? json : JSON.stringify(json));
  const { models, problems } = await loadRepository(folder);
  return {
    models,
    problems: problems.map((problem) => problemText(problem).replaceAll(`${folder}/`, '')),
  };
}

describe('a text section', () => {
  test('has defaults from the tokenizer and the model', async () => {
    const { models, problems } = await load('{max_length: 100}');
    expect(problems).toEqual([]);
    expect(models[0]?.preprocess).toEqual({
      kind: 'text',
      input: 'text',
      tokenizerFile: join(folder, 'm/tokenizer.json'),
      bytesMax: 65_536,
      lengthMax: 100,
      overflow: 'truncate',
      truncationSide: 'right',
      hasSpecialTokens: true,
      buckets: [16, 32, 64, 100],
      padding: { id: 9, typeId: 0, side: 'right' },
      tensors: { ids: 'input_ids', mask: 'attention_mask', types: null },
    });
  });

  test('takes length, sides and padding from the tokenizer, and changes them where it says so', async () => {
    const saying = {
      ...tokenizer,
      truncation: { max_length: 48, direction: 'Left' },
      padding: { direction: 'Left', pad_id: 5, pad_type_id: 6 },
    };
    const { models } = await load('{}', { tokenizer: saying });
    expect(models[0]?.preprocess).toMatchObject({
      lengthMax: 48,
      truncationSide: 'left',
      padding: { id: 5, typeId: 6, side: 'left' },
    });
    const section =
      '{max_length: 20, truncation_side: right, pad_id: 1, pad_side: right, buckets: [7], truncation: false}';
    const changed = await load(section, { tokenizer: saying });
    expect(changed.models[0]?.preprocess).toMatchObject({
      buckets: [7, 20],
      overflow: 'refuse',
      truncationSide: 'right',
      padding: { id: 1, typeId: 6, side: 'right' },
    });
  });

  test('has one length where the model was exported with one', async () => {
    const model = { ...bert, inputs: [ids('input_ids', 64), ids('attention_mask', 64)] };
    const { models } = await load('{}', { model });
    expect(models[0]?.preprocess).toMatchObject({ lengthMax: 64, buckets: [64] });
  });

  test('names the inputs of a model that calls them otherwise', async () => {
    const model = { ...bert, inputs: [ids('tokens', null, 6)] };
    const { models } = await load('{max_length: 9, inputs: {input_ids: tokens}}', { model });
    expect(models[0]?.preprocess).toMatchObject({ tensors: { ids: 'tokens', mask: null } });
  });

  test('makes the tokenizer a part of what tells models apart', async () => {
    const first = await load('{max_length: 9}');
    const changed = { ...tokenizer, added_tokens: [{ id: 8, content: '[PAD]' }] };
    const second = await load('{max_length: 9}', { tokenizer: changed });
    expect(first.models[0]?.digest).not.toBe(second.models[0]?.digest);
  });
});

const at = 'm/model.yaml:2: preprocess.text';
const fixed: WrittenModel = { ...bert, inputs: [ids('input_ids', 8), ids('attention_mask', 8)] };

describe('a text section is refused', () => {
  test.each<[string, string, Parts, string]>([
    [
      'without a length',
      '{}',
      {},
      `${at}: needs max_length: neither the model nor m/tokenizer.json has one`,
    ],
    [
      'with another length than the model',
      '{max_length: 9}',
      { model: fixed },
      `${at}.max_length: is 9; the model takes exactly 8 tokens`,
    ],
    [
      'with buckets of a model that has one',
      '{buckets: [4]}',
      { model: fixed },
      `${at}.buckets: the model takes exactly 8 tokens`,
    ],
    [
      'with buckets that do not ascend',
      '{max_length: 9, buckets: [4, 4]}',
      {},
      `${at}.buckets: must ascend`,
    ],
    [
      'with a bucket above the length',
      '{max_length: 9, buckets: [10]}',
      {},
      `${at}.buckets: 10 is above max_length, 9`,
    ],
    [
      'with no room for a token',
      '{max_length: 2}',
      {},
      `${at}.max_length: is 2; the tokens that mark the ends of a text take 2`,
    ],
    [
      'without padding',
      '{max_length: 9}',
      { tokenizer: { ...tokenizer, added_tokens: [] } },
      `${at}: needs pad_id: m/tokenizer.json has no padding token`,
    ],
    [
      'with an input that is not there',
      '{max_length: 9, inputs: {token_type_ids: t}}',
      {},
      `${at}.inputs.token_type_ids: the model has no input "t"; it has: input_ids, attention_mask`,
    ],
    [
      'without an input for ids',
      '{max_length: 9}',
      { model: { ...bert, inputs: [ids('x')] } },
      `${at}: needs inputs.input_ids: the model's inputs are x`,
    ],
    [
      'with an input that nothing fills',
      '{max_length: 9}',
      { model: { ...bert, inputs: [ids('input_ids'), ids('position_ids')] } },
      `${at}: does not fill input "position_ids"`,
    ],
    [
      'with an input of floats',
      '{max_length: 9}',
      { model: { ...bert, inputs: [ids('input_ids', null, 1)] } },
      `${at}: makes INT64 or INT32; input "input_ids" is FP32`,
    ],
    [
      'with a key that is not known',
      '{max_lenght: 9}',
      {},
      'm/model.yaml:2: preprocess.text.max_lenght: is not known; did you mean "max_length"?',
    ],
  ])('%s', async (_, section, parts, problem) => {
    const { models, problems } = await load(section, parts);
    expect(models).toEqual([]);
    expect(problems).toEqual([problem]);
  });
});

describe('a tokenizer is refused', () => {
  const line = `${at}.tokenizer: m/tokenizer.json`;
  test.each<[string, unknown, string]>([
    ['that is not there', null, `${line} does not exist`],
    ['that is no JSON', '{', `${line} is not JSON`],
    ['without a model', {}, `${line} model`],
    [
      'with a model of words',
      { model: { type: 'WordLevel', vocab: {} } },
      `${line} model.type: "WordLevel" is not supported; supported are WordPiece, BPE, Unigram`,
    ],
    [
      'with a normalizer that is not known',
      { ...tokenizer, normalizer: { type: 'Nmt' } },
      `${line} normalizer.type: "Nmt" is not supported`,
    ],
    [
      'with one inside a sequence',
      {
        ...tokenizer,
        normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Nmt' }] },
      },
      `${line} normalizer.normalizers.1.type: "Nmt" is not supported`,
    ],
    [
      'with a pre-tokenizer that is not known',
      { ...tokenizer, pre_tokenizer: { type: 'UnicodeScripts' } },
      `${line} pre_tokenizer.type: "UnicodeScripts" is not supported`,
    ],
    [
      'with merges that are left to chance',
      { ...tokenizer, model: { type: 'BPE', vocab: {}, merges: [], dropout: 0.1 } },
      `${line} model.dropout`,
    ],
  ])('%s', async (_, json, problem) => {
    const { problems } = await load('{max_length: 9}', { tokenizer: json });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });

  test('that lies elsewhere', async () => {
    const { problems } = await load('{tokenizer: ../tokenizer.json}');
    expect(problems).toEqual([
      `${at}.tokenizer: "../tokenizer.json" must be the name of a file beside model.yaml`,
    ]);
  });
});
