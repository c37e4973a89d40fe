/** The tokenizers that one thread has open, each read once: at the first text for its model. */
import type { ModelManifest, TextSpec } from '@inferry/contracts';
import type { Result } from '@inferry/runtime';
import { openTokenizer, type Tokenizer } from './tokenizer.ts';

export class Tokenizers {
  /** By digest of the model, which covers the file. As many as there are models. */
  readonly #open = new Map<string, Promise<Result<Tokenizer, string>>>();

  /** A file that could not be read is tried again at the next text. */
  async of(manifest: ModelManifest, spec: TextSpec): Promise<Result<Tokenizer, string>> {
    const { digest } = manifest;
    const opening = this.#open.get(digest) ?? openTokenizer(spec.tokenizerFile);
    this.#open.set(digest, opening);
    const opened = await opening;
    if (!opened.ok) this.#open.delete(digest);
    return opened;
  }
}
