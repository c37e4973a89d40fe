/** A model as commands take it: `digits`, or `digits@2`. */
import { isModelName, isModelVersion } from '@inferry/contracts';

export interface ModelReference {
  readonly model: string;
  /** Null: the latest. */
  readonly version: string | null;
}

/** Undefined where the text is neither a name nor a name with a version. */
export function parseModelReference(text: string): ModelReference | undefined {
  const [model = '', version = null, ...rest] = text.split('@');
  const isVersion = version === null || isModelVersion(version);
  return isModelName(model) && isVersion && rest.length === 0 ? { model, version } : undefined;
}
