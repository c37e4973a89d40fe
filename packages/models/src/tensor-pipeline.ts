/** `preprocess.tensor` and `postprocess.tensor` checked against the model's inputs and outputs. */
import {
  fieldShape,
  type Normalization,
  type TensorAnswerSpec,
  type TensorFieldsSpec,
  type TensorSpec,
} from '@inferry/contracts';
import type { z } from 'zod';
import type { FileProblem } from './file-problem.ts';
import type { ParsedModelYaml } from './model-yaml.ts';
import type { tensorAnswer, tensorFields } from './tensor-schema.ts';

type NormalizeYaml = z.output<typeof tensorFields>['normalize'];

export function tensorFieldsSpec(
  section: z.output<typeof tensorFields>,
  inputs: readonly TensorSpec[],
  maxBatchSize: number,
  yaml: ParsedModelYaml,
  problems: FileProblem[],
): TensorFieldsSpec {
  const at = ['preprocess', 'tensor'];
  refuseBrainFloats(inputs, 'input', at, yaml, problems);
  if (inputs.some(({ name }) => name === 'inputs')) {
    // An input of a job that holds such a list is one of raw tensors.
    problems.push(
      yaml.problemAt(at, 'no field may be called "inputs", as an input of the model is'),
    );
  }
  const normalize: [string, Normalization][] = [];
  for (const [name, values] of Object.entries(section.normalize)) {
    const complain = (key: readonly string[], message: string): void => {
      problems.push(yaml.problemAt([...at, 'normalize', name, ...key], message));
    };
    const input = inputs.find((candidate) => candidate.name === name);
    if (input === undefined) {
      const names = inputs.slice(0, 10).map((candidate) => candidate.name);
      complain([], `the model has no such input; it has: ${names.join(', ')}`);
      continue;
    }
    if (!['FP32', 'FP64', 'FP16'].includes(input.datatype)) {
      complain([], `is for floats; input "${name}" is ${input.datatype}`);
    }
    normalize.push([name, normalization(values, fieldShape(input, maxBatchSize), complain)]);
  }
  return { kind: 'tensor', normalize: Object.fromEntries(normalize) };
}

function normalization(
  values: NormalizeYaml[string],
  shape: readonly number[],
  complain: (key: readonly string[], message: string) => void,
): Normalization {
  const width = shape.at(-1);
  for (const key of ['mean', 'std'] as const) {
    const given = values[key];
    if (typeof given === 'number' || given.length === width) continue;
    const last = width === undefined ? 'none' : width === -1 ? 'one that varies' : String(width);
    complain([key], `has ${given.length} entries; the last dimension is ${last}`);
  }
  const std = listOf(values.std);
  if (std.includes(0)) complain(['std'], 'must not be 0: values are divided by it');
  return { scale: values.scale, mean: listOf(values.mean), std };
}

function listOf(value: number | readonly number[]): readonly number[] {
  return typeof value === 'number' ? [value] : value;
}

export function tensorAnswerSpec(
  section: z.output<typeof tensorAnswer>,
  outputs: readonly TensorSpec[],
  yaml: ParsedModelYaml,
  problems: FileProblem[],
): TensorAnswerSpec {
  const at = ['postprocess', 'tensor'];
  const names = outputs.map(({ name }) => name);
  const wanted = section.outputs ?? names;
  for (const [i, name] of wanted.entries()) {
    if (!names.includes(name)) {
      const message = `the model has no output "${name}"; it has: ${names.slice(0, 10).join(', ')}`;
      problems.push(yaml.problemAt([...at, 'outputs', i], message));
    } else if (wanted.indexOf(name) !== i) {
      problems.push(yaml.problemAt([...at, 'outputs', i], `"${name}" is there twice`));
    }
  }
  const read = outputs.filter(({ name }) => wanted.includes(name));
  refuseBrainFloats(read, 'output', at, yaml, problems);
  return { kind: 'tensor', outputs: wanted };
}

function refuseBrainFloats(
  tensors: readonly TensorSpec[],
  side: string,
  at: readonly string[],
  yaml: ParsedModelYaml,
  problems: FileProblem[],
): void {
  for (const { name, datatype } of tensors) {
    if (datatype !== 'BF16') continue;
    problems.push(yaml.problemAt(at, `${side} "${name}" is BF16, which cannot be run`));
  }
}
