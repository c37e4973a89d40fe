/** Tensors made up for a model, from what the Open Inference Protocol says that it takes. */
import { type Datatype, elementCount, isDatatype } from '@inferry/contracts';
import { err, ok, type Random, type Result } from '@inferry/runtime';
import { memberOf } from './documents.ts';
import type { Input } from './inputs.ts';

/** A member of `inputs` of a model's metadata. */
export interface TensorMetadata {
  readonly name: string;
  readonly datatype: Datatype;
  /** -1 is a dimension that varies. */
  readonly shape: readonly number[];
}

interface GenerateOptions {
  readonly data: 'zeros' | 'random';
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly random: Random;
}

/** Different requests, where the data is random: the same bytes again and again would flatter caches. */
const variantsMax = 8;
/** A request of more is larger than servers take. */
const elementsMax = 16 * 1024 * 1024;

/** `inputs` of a model's metadata. The error says what is wrong with it. */
export function parseTensorMetadata(document: unknown): Result<readonly TensorMetadata[], string> {
  const inputs = memberOf(document, 'inputs');
  if (!Array.isArray(inputs) || inputs.length === 0) return err('it names no inputs');
  const tensors: TensorMetadata[] = [];
  for (const input of inputs as readonly unknown[]) {
    const [name, datatype, shape] = ['name', 'datatype', 'shape'].map((key) =>
      memberOf(input, key),
    );
    if (typeof name !== 'string' || typeof datatype !== 'string' || !isDatatype(datatype)) {
      return err(`an input has no name, or a datatype that is not known: ${text(input)}`);
    }
    const isShape = Array.isArray(shape) && shape.every((one) => Number.isSafeInteger(Number(one)));
    if (!isShape) return err(`input "${name}" has no shape: ${text(input)}`);
    // Some servers write dimensions as strings.
    tensors.push({ name, datatype, shape: shape.map(Number) });
  }
  return ok(tensors);
}

/**
 * Bodies like `{"inputs": [...]}`: one of zeros, or several of random elements. Dimensions that vary come
 * from `shapes`; the first is 1 where nothing else is said. The error names the tensor.
 */
export function generateTensors(
  tensors: readonly TensorMetadata[],
  { data, shapes, random }: GenerateOptions,
): Result<readonly Input[], string> {
  const names = tensors.map(({ name }) => name);
  const unknown = [...shapes.keys()].find((name) => !names.includes(name));
  if (unknown !== undefined) {
    return err(`--shape: the model has no input "${unknown}", it has ${names.join(', ')}`);
  }
  const shaped: TensorMetadata[] = [];
  for (const tensor of tensors) {
    const shape = concreteShape(tensor, shapes.get(tensor.name));
    if (!shape.ok) return shape;
    shaped.push({ ...tensor, shape: shape.value });
  }
  const count = shaped.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  if (count > elementsMax) {
    return err(`the tensors have ${count} elements; more than ${elementsMax} are not generated`);
  }
  const variants = data === 'zeros' ? 1 : Math.max(1, Math.min(variantsMax, elementsMax / count));
  return ok(
    Array.from({ length: Math.floor(variants) }, () => ({
      name: data,
      mediaType: 'application/json',
      bytes: bodyOf(
        shaped,
        data === 'zeros' ? zero : (datatype) => randomElement(datatype, random),
      ),
    })),
  );
}

function concreteShape(
  { name, shape }: TensorMetadata,
  given: readonly number[] | undefined,
): Result<readonly number[], string> {
  const declared = `[${shape.join(',')}]`;
  const wanted = given ?? shape.map((dimension, i) => (i === 0 && dimension < 0 ? 1 : dimension));
  const fits =
    wanted.length === shape.length &&
    shape.every((dimension, i) => dimension < 0 || dimension === wanted[i]);
  if (!fits) return err(`--shape ${name}:${wanted.join(',')} does not fit the model's ${declared}`);
  if (wanted.every((dimension) => dimension >= 0)) return ok(wanted);
  const example = wanted.map((dimension) => (dimension < 0 ? 16 : dimension)).join(',');
  return err(
    `input "${name}" has the shape ${declared}: give its dimensions, like --shape ${name}:${example}, or an --input`,
  );
}

type Element = number | boolean | string;

function bodyOf(
  tensors: readonly TensorMetadata[],
  element: (datatype: Datatype) => Element,
): Uint8Array {
  const inputs = tensors.map(({ name, datatype, shape }) => ({
    name,
    shape,
    datatype,
    data: Array.from({ length: elementCount(shape) }, () => element(datatype)),
  }));
  return Buffer.from(JSON.stringify({ inputs }));
}

function zero(datatype: Datatype): Element {
  if (datatype === 'BYTES') return '';
  return datatype === 'BOOL' ? false : 0;
}

function randomElement(datatype: Datatype, random: Random): Element {
  const digit = Math.floor(random.unit() * 10);
  if (datatype === 'BYTES') return `text ${digit}`;
  if (datatype === 'BOOL') return digit < 5;
  const isFloat = datatype.startsWith('FP') || datatype === 'BF16';
  return isFloat ? Math.round(random.unit() * 1e4) / 1e4 : digit;
}

function text(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 200);
}
