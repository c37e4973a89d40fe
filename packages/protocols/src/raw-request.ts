/**
 * A raw binary request of the binary tensor extension (`Inference-Header-Content-Length: 0`): the body is the
 * data of the model's only input, as one row. A BYTES input, and the input of an image or text pipeline, get
 * the whole body as their one element, without a length in front.
 */
import {
  datatypeBytes,
  elementCount,
  type Failure,
  joinBytes,
  type ModelManifest,
  type Tensor,
  type TensorSpec,
} from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

import { BinaryParts, takeElements } from './binary-parts.ts';
import { invalidInput } from './refusals.ts';
import { type BoundInput, checkRows, rowValue } from './tensor-request.ts';

/** Errors: `invalid_input` for a model with several inputs, or with dimensions that the length does not tell. */
export function bindRaw(body: Uint8Array, manifest: ModelManifest): Result<BoundInput, Failure> {
  const rows = checkRows(1, manifest, '#');
  if (!rows.ok) return rows;
  const { preprocess } = manifest;
  if (preprocess.kind === 'image' || preprocess.kind === 'text') {
    const value = rowValue(preprocess, body);
    if (!value.ok) return refused(`The body ${value.error}`);
    return ok({
      input: { form: 'pipeline', rows: [{ [preprocess.input]: value.value }] },
      rows: 1,
    });
  }
  const [spec, ...others] = manifest.inputs;
  if (spec === undefined || others.length > 0) {
    const names = manifest.inputs.map(({ name }) => name).join(', ');
    return refused(`Model "${manifest.name}" has several inputs (${names}); a raw body can be one`);
  }
  const tensor = tensorOf(body, spec, manifest.maxBatchSize > 0);
  if (!tensor.ok)
    return refused(
      `Input "${spec.name}" (${spec.datatype} [${spec.shape.join(',')}]): ${tensor.error}`,
    );
  return ok({ input: { form: 'tensors', tensors: [tensor.value] }, rows: 1 });
}

function tensorOf(
  body: Uint8Array,
  { datatype, name, shape }: TensorSpec,
  isBatched: boolean,
): Result<Tensor, string> {
  const dimensions = shape.map((dimension, i) => (isBatched && i === 0 ? 1 : dimension));
  const variable = dimensions.filter((dimension) => dimension === -1).length;
  if (variable > 1) {
    return err('more than one dimension varies, so the body does not tell its shape');
  }
  if (datatype === 'BYTES') {
    const concrete = dimensions.map((dimension) => (dimension === -1 ? 1 : dimension));
    if (elementCount(concrete) !== 1) return err('it has more than the one element of a body');
    return ok({ name, datatype, shape: concrete, bytes: joinBytes([body]) });
  }
  const known = dimensions.reduce((product, one) => (one === -1 ? product : product * one), 1);
  const rest = known === 0 ? 0 : Math.floor(body.length / (datatypeBytes[datatype] * known));
  const concrete = dimensions.map((dimension) => (dimension === -1 ? rest : dimension));
  const count = elementCount(concrete);
  const bytes = takeElements(new BinaryParts(body), body.length, datatype, count);
  if (!bytes.ok) return err(`${body.length} bytes do not fill [${concrete.join(',')}]`);
  return ok({ name, datatype, shape: concrete, bytes: bytes.value });
}

function refused(detail: string): Result<never, Failure> {
  return err(invalidInput('#', 'data', `${detail}.`));
}
