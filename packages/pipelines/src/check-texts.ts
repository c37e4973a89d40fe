/** Whether the tokenizers of some models work, asked before their worker takes work. */
import type { Failure, ModelManifest } from '@inferry/contracts';
import { ok, type Result } from '@inferry/runtime';
import type { Preparer } from './preparer.ts';
import { sampleInput } from './sample-input.ts';

/**
 * Prepares a text for each model that takes one. `model_error`: a tokenizer cannot be used, such as one with a
 * regular expression that only its own library knows. That a model refuses this very text is no error.
 */
export async function checkTexts(
  preparer: Preparer,
  manifests: readonly ModelManifest[],
): Promise<Result<void, Failure>> {
  const batch = preparer.openBatch();
  try {
    for (const manifest of manifests) {
      const input = manifest.preprocess.kind === 'text' ? await sampleInput(manifest) : null;
      const item = input === null ? null : await batch.prepare(manifest, input);
      if (item?.ok === false && item.error.code === 'model_error') return item;
    }
  } finally {
    batch.close();
  }
  return ok(undefined);
}
