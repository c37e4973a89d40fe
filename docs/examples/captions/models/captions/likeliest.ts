import type { ProcessorTensor } from 'inferry/processor';

/** The token with the highest score in the last row, which follows the last token given. */
export function likeliest({ data, shape }: ProcessorTensor<'FP32'>): number {
  const from = data.length - (shape.at(-1) ?? 0);
  let best = from;
  for (let i = from + 1; i < data.length; i += 1) {
    if ((data[i] ?? 0) > (data[best] ?? 0)) best = i;
  }
  return best - from;
}
