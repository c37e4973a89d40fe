/** The routes of TensorFlow Serving, which KServe V1 uses a part of, and those like BentoML's, described. */
import type { ErrorCode, ModelManifest } from '@inferry/contracts';

import { callExamples, classifyExamples, predictExamples } from './openapi-examples.ts';
import {
  bodyCodes,
  getOperation,
  json,
  heldHeaders,
  lateAnswer,
  loadCodes,
  modelCodes,
  type OpenApiObject,
  parameter,
  problems,
  resultHeaders,
  runCodes,
  schema,
  success,
} from './openapi-parts.ts';

const predictText =
  'TensorFlow Serving and KServe V1. `instances` has an entry for each row and is answered by `predictions`; `inputs` has all rows of an input and is answered by `outputs`. Bytes are `{"b64": "..."}`. A model with a pipeline takes the fields of its pipeline, and its raw tensors; an image model takes `{"instances": [{"b64": "..."}]}`. NaN and the infinities are the strings "NaN", "Infinity" and "-Infinity". The job is canceled when the caller goes away.';
const classifyText =
  'TensorFlow Serving. Each of `examples` is an object with the fields of the model, and is answered by a list of label and score. For models whose pipeline ends in labels.';

const callText =
  "As services of BentoML are called: an object by the names of inputs, as JSON or as a form with files, and the value itself for an answer. Tensors have all their rows. A pipeline of images, texts or tables takes one row, or lists of values; an image may also be the body. BentoML's own client needs a schema of the service, which there is not.";

export function servingPaths(models: readonly ModelManifest[]): OpenApiObject {
  const paths: Record<string, unknown> = {};
  const base = '/v1/models/{model}';
  const version = `${base}/versions/{version}`;
  const label = `${base}/labels/{label}`;
  const metadata = success('Signature.', { [json]: schema('ServingMetadata') });
  for (const [path, parameters] of [
    [base, [parameter('model')]],
    [version, [parameter('model'), parameter('version')]],
    [label, [parameter('model'), parameter('label')]],
  ] as const) {
    paths[`${path}:predict`] = {
      post: operation('Predict and wait for the answer', predictText, parameters, {
        content: {
          [json]: { schema: schema('PredictRequest'), examples: predictExamples(models) },
        },
        answer: schema('PredictResponse'),
      }),
    };
    paths[`${path}:classify`] = {
      post: operation('Classify and wait for the answer', classifyText, parameters, {
        content: {
          [json]: { schema: schema('ClassifyRequest'), examples: classifyExamples(models) },
        },
        answer: schema('ClassifyResponse'),
      }),
    };
    paths[`${path}/metadata`] = getOperation(
      'inference',
      'What the model takes and gives, in the words of TensorFlow Serving',
      metadata,
      modelCodes,
      parameters,
      'serving',
    );
  }
  const model = success('The model.', { [json]: schema('Model') });
  for (const [path, summary, name] of [
    [version, 'One version of a model', 'version'],
    [label, 'The version of a model that a label stands for', 'label'],
  ] as const) {
    const parameters = [parameter('model'), parameter(name)];
    paths[path] = getOperation('models', summary, model, modelCodes, parameters, 'serving');
  }
  paths['/bento/{model}'] = {
    post: operation('Call a model by its inputs, and wait', callText, [parameter('model')], {
      content: {
        [json]: { schema: { type: 'object' }, examples: callExamples(models) },
        'multipart/form-data': { schema: { type: 'object' } },
        'image/*': {},
        'application/octet-stream': {},
      },
      answer: {},
      codes: ['malformed_multipart'],
    }),
  };
  return paths;
}

function operation(
  summary: string,
  description: string,
  parameters: readonly OpenApiObject[],
  {
    answer,
    codes = [],
    content,
  }: {
    readonly answer: OpenApiObject;
    readonly content: OpenApiObject;
    readonly codes?: readonly ErrorCode[];
  },
): OpenApiObject {
  return {
    tags: ['inference'],
    summary,
    description,
    parameters: [...parameters, parameter('prefer'), parameter('tenant')],
    requestBody: { required: true, content },
    responses: {
      '200': success('The answers.', { [json]: answer }, [...heldHeaders, ...resultHeaders]),
      '202': lateAnswer,
      ...problems('serving', [...modelCodes, ...bodyCodes, ...loadCodes, ...runCodes, ...codes]),
    },
  };
}
