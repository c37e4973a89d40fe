import { expect, test } from 'vitest';
import { parseArguments } from '../arguments.ts';
import { parseOptimizeOptions } from './options.ts';

function parse(words: string, env: Record<string, string> = { HOME: '/u/me' }) {
  const parsed = parseArguments(['models', 'optimize', ...words.split(' ')]);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parseOptimizeOptions(parsed.value, env);
}

test('a folder and samples are enough: the graph, beside the model, out of sight', () => {
  expect(parse('models/digits --samples s')).toEqual({
    ok: true,
    value: {
      modelsDir: 'models',
      model: 'digits',
      version: null,
      variants: ['graph'],
      samples: ['s'],
      minAgreement: 0.99,
      level: 'extended',
      out: 'models/digits/.optimized',
      install: false,
      venv: '/u/me/.cache/inferry/optimize',
      asJson: false,
    },
  });
});

test('every flag counts; variants are made in one order, each once', () => {
  expect(
    parse(
      'm/d@2 --to int8 --to fp16 --to int8 --samples a --samples b --min-agreement 0.5 --level all --out o --venv /v --install --json',
    ),
  ).toMatchObject({
    ok: true,
    value: {
      modelsDir: 'm',
      version: '2',
      variants: ['fp16', 'int8'],
      samples: ['a', 'b'],
      minAgreement: 0.5,
      level: 'all',
      out: 'o',
      venv: '/v',
      install: true,
      asJson: true,
    },
  });
  expect(parse('digits --samples s', { XDG_CACHE_HOME: '/c' })).toMatchObject({
    value: { modelsDir: '.', venv: '/c/inferry/optimize' },
  });
});

test('all that is wrong is told at once', () => {
  expect(parse('models/a@b@c --to int4 --level most --min-agreement 2')).toEqual({
    ok: false,
    error: [
      'DIR/MODEL must be the folder of a model, or that with @version, not "models/a@b@c"',
      '--to must be one of graph, fp16, int8, int8-static, not "int4"',
      '--level must be one of basic, extended, all, not "most"',
      '--samples must be given: a variant is judged by what it answers to real inputs',
      '--min-agreement must be a number from 0 to 1, not "2"',
    ],
  });
});
