/** The OpenAPI 3.1 document of the gateway, made from the schemas that the code itself uses. */
import { datatypeBytes, type ModelManifest } from '@inferry/contracts';
import { z } from 'zod';

import { cancelSchema } from './cancel.ts';
import { jobSchema } from './job-document.ts';
import { modelListSchema, modelSchema } from './model-document.ts';
import { inferRequestSchema } from './open-inference.ts';
import { headerComponents, type OpenApiObject, parameterComponents } from './openapi-parts.ts';
import { openApiPaths } from './openapi-paths.ts';
import { problemSchema } from './problem.ts';
import { loadRequestSchema, unloadRequestSchema } from './repository-control.ts';
import { indexRequestSchema, indexSchema } from './repository-index.ts';
import { statisticsSchema } from './statistics.ts';
import type { Compat } from './surface.ts';
import { submitSchema, submitWithModelSchema } from './submit.ts';
import { classifyRequestSchema } from './tf-serving/classify.ts';
import { servingMetadataSchema } from './tf-serving/metadata.ts';
import { predictRequestSchema } from './tf-serving/predict.ts';

const tensorSpecSchema = z.strictObject({
  name: z.string(),
  datatype: z.enum(Object.keys(datatypeBytes)),
  shape: z.array(z.int().min(-1)),
});

const components = {
  Job: jobSchema,
  Submit: submitSchema,
  SubmitWithModel: submitWithModelSchema,
  Cancel: cancelSchema,
  Problem: problemSchema,
  Model: modelSchema,
  ModelList: modelListSchema,
  InferRequest: inferRequestSchema,
  InferResponse: z.strictObject({
    model_name: z.string(),
    model_version: z.string(),
    id: z.string().optional().describe('As in the request.'),
    outputs: z.array(
      tensorSpecSchema.extend({
        data: z.array(z.unknown()).optional().describe('Absent where it follows the JSON.'),
        parameters: z
          .strictObject({ binary_data_size: z.int().min(0) })
          .optional()
          .describe('Bytes of it that follow the JSON.'),
      }),
    ),
  }),
  ModelMetadata: z.strictObject({
    name: z.string(),
    versions: z.array(z.string()),
    platform: z.string(),
    inputs: z.array(tensorSpecSchema),
    outputs: z.array(tensorSpecSchema),
    parameters: z
      .record(z.string(), z.string())
      .optional()
      .describe('Names of the pipeline form, where the model has one.'),
  }),
  ModelConfig: z
    .record(z.string(), z.unknown())
    .describe("A ModelConfig in Triton's words: names in snake_case, defaults included."),
  PredictRequest: predictRequestSchema,
  PredictResponse: z.union([
    z.strictObject({ predictions: z.array(z.unknown()).describe('One for each instance.') }),
    z.strictObject({ outputs: z.unknown() }),
  ]),
  ClassifyRequest: classifyRequestSchema,
  ClassifyResponse: z.strictObject({
    result: z
      // Not as a tuple: schemathesis takes such a schema for one of an older draft, and refuses it.
      .array(z.array(z.array(z.union([z.string(), z.number()])).length(2)))
      .describe('For each example its labels with their scores, the best first.'),
  }),
  ServingMetadata: servingMetadataSchema,
  ServerMetadata: z.strictObject({
    name: z.string(),
    version: z.string(),
    extensions: z.array(z.string()),
  }),
  RepositoryIndexRequest: indexRequestSchema,
  RepositoryIndex: indexSchema,
  RepositoryLoadRequest: loadRequestSchema,
  RepositoryUnloadRequest: unloadRequestSchema,
  ModelStatistics: statisticsSchema,
  ModelNames: z.strictObject({ models: z.array(z.string()) }),
  ModelReady: z.strictObject({ name: z.string(), ready: z.boolean() }),
  Live: z.strictObject({ live: z.boolean() }),
  Ready: z.strictObject({ ready: z.boolean() }),
};

/** A plain object, ready for JSON. Examples are made for the given models. */
export function openApiDocument(about: {
  readonly version: string;
  readonly models: readonly ModelManifest[];
  /** `none` when not given. */
  readonly compat?: Compat | undefined;
}): OpenApiObject {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Inferry',
      version: about.version,
      description: 'Inference requests, queued in order of arrival and run in batches.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    tags: [
      { name: 'jobs', description: 'Submit, poll, cancel.' },
      { name: 'models', description: 'What is served.' },
      {
        name: 'inference',
        description: 'Open Inference Protocol v2, TensorFlow Serving, KServe V1.',
      },
      { name: 'health', description: 'For probes.' },
      { name: 'pages', description: 'For people.' },
    ],
    paths: openApiPaths(about.models, about.compat ?? 'none'),
    components: {
      schemas: Object.fromEntries(
        Object.entries(components).map(([name, schema]) => [name, jsonSchemaOf(schema)]),
      ),
      parameters: parameterComponents,
      headers: headerComponents,
    },
  };
}

function jsonSchemaOf(schema: z.ZodType): OpenApiObject {
  // `bigint` is an integer on the wire; JSON Schema has no other word for it.
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema instanceof z.ZodBigInt) jsonSchema.type = 'integer';
    },
  });
  return rest;
}
