/** Outputs that a request asks for, and in what form; parameters of the protocol's extensions. */
import { type Failure, type TensorSpec } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { z } from 'zod';

import { boundedRecord } from './bounded-schemas.ts';
import { classesMax, isClassifiable } from './classification.ts';
import { invalidInput, pointerTo } from './refusals.ts';

export const parametersMax = 64;

export const parametersSchema = boundedRecord(
  z.union([z.string(), z.number(), z.bigint(), z.boolean()]),
  { max: parametersMax },
);

export const requestedOutputSchema = z.strictObject({
  name: z.string().min(1),
  parameters: parametersSchema.nullish(),
});

export type RequestedOutput = z.infer<typeof requestedOutputSchema>;

/** Name of the one output that answers an input in pipeline form. */
export const pipelineOutput = 'output';
export const pipelineOutputSpec: TensorSpec = {
  name: pipelineOutput,
  datatype: 'BYTES',
  shape: [-1],
};

/** In which form an output is wanted. */
export interface OutputForm {
  /** Behind the JSON; undefined where the request does not say. */
  readonly isBinary?: boolean;
  /** So many of its largest values, as texts, instead of all its values. */
  readonly classes?: number;
}

interface BoundOutputs {
  /** Undefined where all of them are wanted. */
  readonly names: readonly string[] | undefined;
  readonly forms: ReadonlyMap<string, OutputForm>;
}

/** Of the outputs that this input has. Every error is `invalid_input`. */
export function bindOutputs(
  wanted: readonly RequestedOutput[],
  known: readonly TensorSpec[],
  { base, binary }: { readonly base: string; readonly binary: unknown },
): Result<BoundOutputs, Failure> {
  const forms = new Map<string, OutputForm>();
  if (wanted.length === 0) return ok({ names: undefined, forms });
  const names: string[] = [];
  for (const [i, { name, parameters: given }] of wanted.entries()) {
    const pointer = pointerTo(base, 'outputs', i);
    const reserved = unspokenParameter(given, ['binary_data', 'classification'], { binary });
    if (reserved !== undefined) {
      const detail = `Output "${name}": parameter "${reserved}" is not supported.`;
      return err(invalidInput(pointerTo(pointer, 'parameters'), 'unsupported', detail));
    }
    const spec = known.find((one) => one.name === name);
    if (spec === undefined) {
      const list = known.map((one) => one.name).join(', ');
      const detail = `There is no output "${name}" for this input; there is: ${list}.`;
      return err(invalidInput(pointerTo(pointer, 'name'), 'unknown_output', detail));
    }
    if (names.includes(name)) {
      const detail = `Output "${name}" is asked for twice.`;
      return err(invalidInput(pointerTo(pointer, 'name'), 'duplicate', detail));
    }
    const form = outputForm(given ?? {}, spec);
    if (!form.ok) {
      const detail = `Output "${name}": ${form.error}.`;
      return err(invalidInput(pointerTo(pointer, 'parameters'), 'parameter', detail));
    }
    names.push(name);
    forms.set(name, form.value);
  }
  return ok({ names, forms });
}

function outputForm(
  given: Readonly<Record<string, unknown>>,
  { datatype }: TensorSpec,
): Result<OutputForm, string> {
  const { binary_data: binary, classification: classes } = given;
  if (binary !== undefined && typeof binary !== 'boolean')
    return err('binary_data is true or false');
  const isCount =
    typeof classes === 'number' &&
    Number.isSafeInteger(classes) &&
    classes >= 1 &&
    classes <= classesMax;
  if (classes !== undefined && !isCount) {
    return err(`classification must be a number of classes, 1 to ${classesMax}`);
  }
  if (classes !== undefined && !isClassifiable(datatype)) {
    return err(`classification needs numbers, and it is ${datatype}`);
  }
  return ok({
    ...(binary === undefined ? {} : { isBinary: binary }),
    ...(isCount ? { classes } : {}),
  });
}

/** Parameters of the extensions that say where data is, or in what form it is wanted. */
const extensionParameters: readonly string[] = [
  'binary_data_size',
  'binary_data',
  'classification',
];

/** One that is not among the `spoken` ones and may not be ignored. None is spoken where `binary` is null. */
export function unspokenParameter(
  given: Readonly<Record<string, unknown>> | null | undefined,
  spoken: readonly string[],
  { binary }: { readonly binary: unknown },
): string | undefined {
  return Object.entries(given ?? {}).find(([key, value]) => {
    if (key.startsWith('shared_memory_') || key.startsWith('triton_')) return true;
    if (!extensionParameters.includes(key) || (key === 'binary_data' && value === false))
      return false;
    return binary === null || !spoken.includes(key);
  })?.[0];
}
