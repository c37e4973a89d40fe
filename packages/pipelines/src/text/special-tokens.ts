/** Post-processors of a `tokenizer.json`, for one text: the tokens that mark its beginning and its end. */
import type { PostProcessorJson } from '@inferry/contracts';

interface MarkToken {
  readonly id: number;
  /** The segment it belongs to. */
  readonly type: number;
}

export interface SpecialTokens {
  readonly before: readonly MarkToken[];
  readonly after: readonly MarkToken[];
  /** Segment of the text's own tokens. */
  readonly type: number;
}

const nothing: SpecialTokens = { before: [], after: [], type: 0 };

/** Throws for a template without the text, or with a token it does not explain. */
export function specialTokensOf(json: PostProcessorJson | null): SpecialTokens {
  switch (json?.type) {
    case undefined:
    case 'ByteLevel':
      return nothing;
    case 'BertProcessing':
    case 'RobertaProcessing':
      return {
        before: [{ id: json.cls[1], type: 0 }],
        after: [{ id: json.sep[1], type: 0 }],
        type: 0,
      };
    case 'TemplateProcessing':
      return template(json);
    case 'Sequence':
      return json.processors.map(specialTokensOf).reduce(
        (inner, outer) => ({
          before: [...outer.before, ...inner.before],
          after: [...inner.after, ...outer.after],
          type: outer.type,
        }),
        nothing,
      );
  }
}

function template(json: Extract<PostProcessorJson, { type: 'TemplateProcessing' }>): SpecialTokens {
  const before: MarkToken[] = [];
  const after: MarkToken[] = [];
  let type: number | undefined;
  for (const piece of json.single) {
    if ('Sequence' in piece) {
      type = piece.Sequence.type_id;
      continue;
    }
    const { id: name, type_id: segment } = piece.SpecialToken;
    const found = json.special_tokens[name];
    if (found === undefined) throw new Error(`the template's token "${name}" is not explained`);
    const marks = found.ids.map((id) => ({ id, type: segment }));
    if (type === undefined) before.push(...marks);
    else after.push(...marks);
  }
  if (type === undefined) throw new Error('the template has no place for the text');
  return { before, after, type };
}
