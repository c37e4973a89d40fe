/** How the schema of ModelConfig is written: types of fields, and what becomes of each here. */

export type ScalarType =
  | 'string'
  | 'bool'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'float'
  | 'double';

/**
 * honoured: it does what it does in Triton, as far as the field's own checks do not say otherwise. warned:
 * the model is served without it. refused: the model is not served, as it would answer wrongly.
 */
export type FieldUse =
  | { readonly kind: 'honoured' }
  | { readonly kind: 'warned'; readonly because: string }
  | { readonly kind: 'refused'; readonly because: string };

export interface FieldSchema {
  readonly type: ScalarType | EnumType | MessageType;
  readonly form: 'one' | 'many' | 'map';
  /** Counts where the field has another value than its default. */
  readonly use: FieldUse;
  /** Fields of which one message has one at most. */
  readonly oneof: string | null;
}

export interface EnumType {
  /** In the order of their numbers; the first is the default. */
  readonly values: readonly string[];
}

export interface MessageType {
  readonly fields: Readonly<Record<string, FieldSchema>>;
}

type Use = FieldUse | undefined;

const honoured: FieldUse = { kind: 'honoured' };
export const warn = (because: string): FieldUse => ({ kind: 'warned', because });
export const refuse = (because: string): FieldUse => ({ kind: 'refused', because });

export function one(type: FieldSchema['type'], use: Use = honoured): FieldSchema {
  return { type, form: 'one', use, oneof: null };
}
export const many = (type: FieldSchema['type'], use?: Use): FieldSchema => ({
  ...one(type, use),
  form: 'many',
});
/** Keys are text or whole numbers; both are texts in JSON. */
export const mapOf = (type: FieldSchema['type'], use?: Use): FieldSchema => ({
  ...one(type, use),
  form: 'map',
});
export const eitherOf = (oneof: string, field: FieldSchema): FieldSchema => ({ ...field, oneof });
export const message = (fields: MessageType['fields']): MessageType => ({ fields });
