/** `input` and `output`: what callers give and get, and what the model calls it (`reshape`). */
import { elementCount, type TensorSpec } from '@inferry/contracts';
import { type CompleteConfig, datatypeOf } from './complete.ts';
import type { Notes } from './notes.ts';
import type { TritonTensor } from './triton-config.ts';

export type TritonSide = 'input' | 'output';

/** As callers see them, batch dimension included; those that say too little are left out, with a problem. */
export function declaredTensors(
  side: TritonSide,
  config: CompleteConfig,
  notes: Notes,
): readonly TensorSpec[] {
  return config[side].flatMap((tensor, i) => {
    const spec = declared(tensor, config.max_batch_size > 0, (key, message) =>
      notes.problem([side, i, ...key], message),
    );
    return spec === undefined ? [] : [spec];
  });
}

function declared(
  tensor: TritonTensor,
  isBatched: boolean,
  complain: (key: readonly string[], message: string) => void,
): TensorSpec | undefined {
  const { dims = [], name = '', reshape } = tensor;
  const datatype = datatypeOf(tensor);
  if (name === '') complain(['name'], 'is required');
  if (datatype === undefined) complain(['data_type'], 'is required');
  if (dims.length === 0) complain(['dims'], 'is required (a scalar is [1] with an empty reshape)');
  let isSound = name !== '' && dims.length > 0;
  for (const [key, sizes] of [
    [['dims'], dims],
    [['reshape', 'shape'], reshape?.shape ?? []],
  ] as const) {
    if (sizes.every((size) => size === -1 || size >= 1)) continue;
    complain(key, `is [${sizes.join(', ')}]; each is at least 1, or -1 where it varies`);
    isSound = false;
  }
  if (datatype === undefined || !isSound) return undefined;
  const rows = isBatched ? [-1] : [];
  const shape = [...rows, ...dims];
  if (reshape === undefined) return { name, datatype, shape };
  const inner = reshape.shape ?? [];
  if (segments(dims).join() !== segments(inner).join()) {
    const message = `[${inner.join(', ')}] must have as many elements as dims [${dims.join(', ')}], before, between and after those that vary`;
    complain(['reshape'], message);
    return undefined;
  }
  return { name, datatype, shape, runShape: [...rows, ...inner] };
}

/** Elements of each stretch of dimensions between those that vary. */
function segments(dims: readonly number[]): readonly number[] {
  const stretches: number[][] = [[]];
  for (const size of dims) {
    if (size === -1) stretches.push([]);
    else stretches.at(-1)?.push(size);
  }
  return stretches.map(elementCount);
}
