/** What `inferry tune` refuses before anything is measured. The whole of it is in the system tests. */
import { seededRandom, systemClock } from '@inferry/runtime';
import { repositoryPath } from '@inferry/testkit';
import { expect, test } from 'vitest';
import type { TuneOptions } from './options.ts';
import { tune } from './tune.ts';

const options: TuneOptions = {
  model: 'digits',
  version: null,
  modelsDir: repositoryPath('models'),
  latencyTargetMs: null,
  inputs: [],
  device: { kind: 'cpu', index: 0 },
  prepareIn: 'auto',
  jpegDecoder: 'auto',
  rowsMax: 1,
  msMax: 1_000,
  asJson: false,
  write: false,
  redis: null,
};

async function refusal(changes: Partial<TuneOptions>): Promise<string> {
  const said: string[] = [];
  const code = await tune(
    { ...options, ...changes },
    {
      clock: systemClock,
      random: seededRandom(1),
      env: {},
      argv: [],
      columns: 80,
      print: (text) => said.push(text),
      complain: (text) => said.push(text),
      progress: () => undefined,
    },
  );
  return `${code} ${said.join('')}`;
}

test.each([
  [{ model: 'nosuch' }, /^2 .*no model is called "nosuch"; there are: digits, iris\n$/u],
  [{ version: '7' }, /^2 .*model "digits" has no version "7"; it has: 1\n$/u],
  [{ modelsDir: '/nonexistent' }, /^2 .*\/nonexistent: does not exist\n$/u],
  [{ inputs: ['/nonexistent'] }, /^2 .*--input \/nonexistent: does not exist/u],
  [{ inputs: [repositoryPath('package.json')] }, /^2 .*package\.json: the model takes images\n$/u],
  [
    { model: 'photo', modelsDir: repositoryPath('docs/examples/ensemble/models') },
    /^2 .*photo runs nothing itself: measure the models of its steps\n$/u,
  ],
  [
    {
      model: 'scores',
      modelsDir: repositoryPath('packages/testkit/fixtures/triton'),
      write: true,
    },
    /^2 .*scores has a config\.pbtxt, and --write writes a model\.yaml: run without it/u,
  ],
])('%j', async (changes, words) => {
  expect(await refusal(changes)).toMatch(words);
});
