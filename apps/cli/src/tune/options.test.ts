import { expect, test } from 'vitest';
import { parseArguments } from '../arguments.ts';
import { parseTuneOptions } from './options.ts';

function parse(words: string, env: Record<string, string> = {}) {
  const parsed = parseArguments(['tune', ...words.split(' ')]);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parseTuneOptions(parsed.value, env);
}

test('without flags: the latest version, the CPU, one minute, nothing written', () => {
  expect(parse('digits')).toEqual({
    ok: true,
    value: {
      model: 'digits',
      version: null,
      modelsDir: 'models',
      latencyTargetMs: null,
      inputs: [],
      device: { kind: 'cpu', index: 0 },
      prepareIn: 'auto',
      jpegDecoder: 'auto',
      rowsMax: null,
      msMax: 60_000,
      asJson: false,
      write: false,
      redis: null,
    },
  });
});

test('every flag counts, and inputs add up', () => {
  expect(
    parse(
      'digits@2 --models m --latency-target 12.5 --input a.png --input b --device cuda:1 --max-batch 32 --max-seconds 5 --json --write',
      {
        INFERRY_MODELS: 'other',
        INFERRY_DEVICE: 'cpu',
        INFERRY_PREPARE_IN: 'compute',
        INFERRY_JPEG_DECODER: 'sharp',
        REDIS_URL: 'redis://127.0.0.1:1',
      },
    ),
  ).toEqual({
    ok: true,
    value: {
      model: 'digits',
      version: '2',
      modelsDir: 'm',
      latencyTargetMs: 12.5,
      inputs: ['a.png', 'b'],
      device: { kind: 'cuda', index: 1 },
      prepareIn: 'compute',
      jpegDecoder: 'sharp',
      rowsMax: 32,
      msMax: 5_000,
      asJson: true,
      write: true,
      redis: { url: 'redis://127.0.0.1:1', prefix: 'inferry' },
    },
  });
});

test('the environment speaks where no flag does', () => {
  const env = { INFERRY_MODELS: 'other', INFERRY_DEVICE: 'cuda:0' };
  expect(parse('digits', env)).toMatchObject({
    value: { modelsDir: 'other', device: { kind: 'cuda', index: 0 } },
  });
});

test('all that is wrong is told at once, with what would be right', () => {
  const wrong = parse('a@b@c --latency-target 0 --max-batch 2.5 --device gpu', {
    REDIS_URL: 'http://x',
  });
  expect(wrong).toEqual({
    ok: false,
    error: [
      'MODEL must be a name, or name@version; "a@b@c" is neither',
      '--latency-target must be a number from 1 to 86400000, not "0"',
      '--max-batch must be a whole number from 1 to 65536, not "2.5"',
      expect.stringContaining('--device '),
      expect.stringContaining('REDIS_URL must look like redis://'),
    ],
  });
});
