/** What a model takes and gives, as TensorFlow Serving tells it. */
import type { Datatype, ModelManifest, TensorSpec } from '@inferry/contracts';
import { z } from 'zod';

import { defaultSignature } from './predict.ts';

/** By the names that TensorFlow has for them. */
const dtypes: Readonly<Record<Datatype, string>> = {
  BOOL: 'DT_BOOL',
  UINT8: 'DT_UINT8',
  UINT16: 'DT_UINT16',
  UINT32: 'DT_UINT32',
  UINT64: 'DT_UINT64',
  INT8: 'DT_INT8',
  INT16: 'DT_INT16',
  INT32: 'DT_INT32',
  INT64: 'DT_INT64',
  FP16: 'DT_HALF',
  BF16: 'DT_BFLOAT16',
  FP32: 'DT_FLOAT',
  FP64: 'DT_DOUBLE',
  BYTES: 'DT_STRING',
};

const tensorInfoSchema = z.strictObject({
  dtype: z.string().describe('DT_FLOAT, DT_STRING...'),
  tensor_shape: z.strictObject({
    dim: z.array(
      z.strictObject({ size: z.string().describe('-1 where it varies.'), name: z.string() }),
    ),
    unknown_rank: z.boolean(),
  }),
  name: z.string(),
});

const signatureSchema = z.strictObject({
  inputs: z.record(z.string(), tensorInfoSchema),
  outputs: z.record(z.string(), tensorInfoSchema),
  method_name: z.string(),
});

export const servingMetadataSchema = z
  .strictObject({
    model_spec: z.strictObject({
      name: z.string(),
      signature_name: z.string(),
      version: z.string(),
    }),
    metadata: z.strictObject({
      signature_def: z.strictObject({
        signature_def: z.strictObject({ [defaultSignature]: signatureSchema }),
      }),
    }),
  })
  .meta({ description: 'TensorFlow Serving model metadata.' });

/** The raw tensors, because clients build a whole request from them; the input schema has the pipeline's form. */
export function servingMetadata({
  inputs,
  name,
  outputs,
  version,
}: ModelManifest): z.infer<typeof servingMetadataSchema> {
  return {
    model_spec: { name, signature_name: '', version },
    metadata: {
      signature_def: {
        signature_def: {
          [defaultSignature]: {
            inputs: Object.fromEntries(inputs.map(tensorInfo)),
            outputs: Object.fromEntries(outputs.map(tensorInfo)),
            method_name: 'tensorflow/serving/predict',
          },
        },
      },
    },
  };
}

function tensorInfo({
  datatype,
  name,
  shape,
}: TensorSpec): [string, z.infer<typeof tensorInfoSchema>] {
  const dim = shape.map((size) => ({ size: String(size), name: '' }));
  return [name, { dtype: dtypes[datatype], tensor_shape: { dim, unknown_rank: false }, name }];
}
