/**
 * What is read of a `tokenizer.json`, the file format of Hugging Face's `tokenizers`: the components that give
 * the same ids here as there. A file with others is refused when the model is loaded. What is absent has the
 * default of that library, which is named where the value is read.
 */

export type NormalizerJson =
  | {
      readonly type: 'BertNormalizer';
      readonly clean_text?: boolean;
      readonly handle_chinese_chars?: boolean;
      /** Null: as `lowercase` is. */
      readonly strip_accents?: boolean | null;
      readonly lowercase?: boolean;
    }
  | { readonly type: 'NFC' | 'NFD' | 'NFKC' | 'NFKD' | 'Lowercase' | 'StripAccents' }
  | { readonly type: 'Strip'; readonly strip_left?: boolean; readonly strip_right?: boolean }
  | { readonly type: 'Replace'; readonly pattern: PatternJson; readonly content: string }
  | { readonly type: 'Prepend'; readonly prepend: string }
  /** The character map of SentencePiece, in base64. */
  | { readonly type: 'Precompiled'; readonly precompiled_charsmap: string }
  | { readonly type: 'Sequence'; readonly normalizers: readonly NormalizerJson[] };

export type PatternJson = { readonly String: string } | { readonly Regex: string };

export type PreTokenizerJson =
  | { readonly type: 'BertPreTokenizer' | 'Whitespace' | 'WhitespaceSplit' }
  | {
      readonly type: 'ByteLevel';
      readonly add_prefix_space?: boolean;
      readonly use_regex?: boolean;
    }
  | {
      readonly type: 'Metaspace';
      readonly replacement?: string;
      readonly prepend_scheme?: 'always' | 'first' | 'never';
      /** In files of older versions, in place of a scheme. */
      readonly add_prefix_space?: boolean;
      readonly split?: boolean;
    }
  | { readonly type: 'Digits'; readonly individual_digits?: boolean }
  | { readonly type: 'Punctuation' }
  | {
      readonly type: 'Split';
      readonly pattern: PatternJson;
      readonly behavior: 'Isolated' | 'Removed';
      readonly invert?: boolean;
    }
  | { readonly type: 'Sequence'; readonly pretokenizers: readonly PreTokenizerJson[] };

export type TokenizerModelJson =
  | {
      readonly type: 'WordPiece';
      readonly vocab: Readonly<Record<string, number>>;
      readonly unk_token?: string;
      readonly continuing_subword_prefix?: string;
      readonly max_input_chars_per_word?: number;
    }
  | {
      readonly type: 'BPE';
      readonly vocab: Readonly<Record<string, number>>;
      /** In order of rank: pairs, or two words with a space between. */
      readonly merges: readonly (string | readonly [string, string])[];
      readonly unk_token?: string | null;
      readonly end_of_word_suffix?: string | null;
      readonly fuse_unk?: boolean;
      readonly byte_fallback?: boolean;
      readonly ignore_merges?: boolean;
    }
  | {
      readonly type: 'Unigram';
      /** Pieces with their log probabilities; a piece's id is its place. */
      readonly vocab: readonly (readonly [string, number])[];
      readonly unk_id?: number | null;
      readonly byte_fallback?: boolean;
    };

export type PostProcessorJson =
  | { readonly type: 'ByteLevel' }
  | {
      readonly type: 'BertProcessing' | 'RobertaProcessing';
      readonly cls: readonly [string, number];
      readonly sep: readonly [string, number];
    }
  | {
      readonly type: 'TemplateProcessing';
      readonly single: readonly TemplatePieceJson[];
      readonly special_tokens: Readonly<Record<string, { readonly ids: readonly number[] }>>;
    }
  | { readonly type: 'Sequence'; readonly processors: readonly PostProcessorJson[] };

type TemplatePieceJson =
  | { readonly SpecialToken: { readonly id: string; readonly type_id: number } }
  | { readonly Sequence: { readonly id: 'A' | 'B'; readonly type_id: number } };

export interface AddedTokenJson {
  readonly id: number;
  readonly content: string;
  readonly single_word?: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  readonly normalized?: boolean;
}

export interface TokenizerJson {
  readonly added_tokens?: readonly AddedTokenJson[];
  readonly normalizer?: NormalizerJson | null;
  readonly pre_tokenizer?: PreTokenizerJson | null;
  readonly model: TokenizerModelJson;
  readonly post_processor?: PostProcessorJson | null;
  readonly truncation?: {
    readonly max_length: number;
    readonly direction?: 'Left' | 'Right';
  } | null;
  readonly padding?: {
    readonly direction?: 'Left' | 'Right';
    readonly pad_id: number;
    readonly pad_type_id?: number;
  } | null;
}
