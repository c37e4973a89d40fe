export {
  type CatalogueModel,
  type CatalogueVersion,
  mayBeRequested,
  ModelCatalogue,
  type ServingState,
} from './catalogue.ts';
export { editModelYaml, type TunedSettings } from './edit-model-yaml.ts';
export { editVersionsYaml, type VersionsEdit } from './edit-versions-yaml.ts';
export { fileErrorText, type FileProblem, problemText } from './file-problem.ts';
export { loadRepository, type Repository, type RepositoryProblem } from './load-repository.ts';
export { type ParsedModelYaml, parseModelYaml } from './model-yaml.ts';
export { type ModelYaml, modelYamlJsonSchema } from './model-yaml-schema.ts';
export { type OnnxSignature, readOnnxSignature } from './onnx-signature.ts';
export type { OnnxTensor } from './onnx-value-info.ts';
export { missingStep } from './missing-step.ts';
export { type ModelVersions, readVersions } from './read-versions.ts';
export {
  labelProblem,
  type ParsedVersionsYaml,
  parseVersionsYaml,
  type VersionChoice,
} from './versions-yaml.ts';
export { versionsYamlJsonSchema } from './versions-yaml-schema.ts';
export { compareVersions, latestVersion, resolveModel } from './versions.ts';
