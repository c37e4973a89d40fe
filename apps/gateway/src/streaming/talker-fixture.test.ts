/** A model that tells parts of its answers, for tests; no worker loads it, its jobs are claimed by hand. */
import {
  classOf,
  emitsPartials,
  type JobOutput,
  type ModelManifest,
  type Outcome,
} from '@inferry/contracts';
import type { Claim, JobQueue } from '@inferry/queue';
import { waitFor } from '@inferry/testkit';
import { expect, test } from 'vitest';

import { claimRequest, succeeded } from '../gateway-fixture.test.ts';
import { iris } from '../models-fixture.test.ts';

export const talker: ModelManifest = {
  ...iris,
  name: 'talker',
  backend: 'processor',
  inputs: [{ name: 'prompt', datatype: 'BYTES', shape: [-1, 1] }],
  outputs: [{ name: 'text', datatype: 'BYTES', shape: [-1, 1] }],
  preprocess: { kind: 'none' },
  postprocess: { kind: 'none' },
  processor: { file: '/none', runs: [], stepsMax: 1 },
};

const cls = classOf('talker', '1');

export function said(text: string): JobOutput {
  const bytes = Buffer.alloc(4 + text.length);
  bytes.writeUInt32LE(text.length);
  bytes.write(text, 4);
  return { form: 'tensors', tensors: [{ name: 'text', datatype: 'BYTES', shape: [1, 1], bytes }] };
}

export function saying(text: string): Outcome {
  return { ...succeeded, output: said(text) };
}

/** The next job of the model, once there is one. */
export async function claimTalk(queue: JobQueue): Promise<Claim> {
  let claim: Claim | undefined;
  await waitFor(async () => ([claim] = (await queue.claim(cls, claimRequest)).claims).length > 0);
  if (claim === undefined) throw new Error('nothing was claimed');
  return claim;
}

/** Tells the words one after the other, from the first. */
export async function say(queue: JobQueue, claim: Claim, ...words: readonly string[]) {
  for (const [i, word] of words.entries()) {
    await queue.partials.emit(cls, claim, i + 1, said(word));
  }
}

export async function settleTalk(queue: JobQueue, claim: Claim, outcome: Outcome): Promise<void> {
  await queue.settle(cls, [{ claim, outcome }]);
}

test('the model of the fixture tells parts', () => {
  expect(emitsPartials(talker)).toBe(true);
});
