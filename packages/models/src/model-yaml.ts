/** Parses `model.yaml`. */
import type { Result } from '@inferry/runtime';
import { type CheckedYaml, parseCheckedYaml } from './checked-yaml.ts';
import type { FileProblem } from './file-problem.ts';
import { type ModelYaml, modelYamlJsonSchema, modelYamlSchema } from './model-yaml-schema.ts';

export type ParsedModelYaml = CheckedYaml<ModelYaml>;

/** `file` only names the text in problems. An empty text is a model with every default. */
export function parseModelYaml(
  file: string,
  text: string,
): Result<ParsedModelYaml, readonly FileProblem[]> {
  return parseCheckedYaml(file, text, { schema: modelYamlSchema, jsonSchema: modelYamlJsonSchema });
}
