/** The tokenizers that one thread has open, each read once: at the first text for its model. */
import { readFile } from 'node:fs/promises';
import type { ModelManifest, TextSpec, TokenizerJson } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { type Tokenizer, tokenizerOf } from './tokenizer.ts';

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

  /** A model with this digest is gone; should there be one again, its tokenizer is read again. */
  forget({ digest }: ModelManifest): void {
    this.#open.delete(digest);
  }
}

/** Reads a file that was found good when its model was loaded; the error says why it is not any more. */
async function openTokenizer(file: string): Promise<Result<Tokenizer, string>> {
  try {
    return ok(tokenizerOf(JSON.parse(await readFile(file, 'utf8')) as TokenizerJson));
  } catch (cause) {
    return err(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}
