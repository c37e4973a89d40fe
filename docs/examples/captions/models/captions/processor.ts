/** Greedy decoding: the likeliest token is taken, sent to whoever listens, and given back to the model. */
import type { GivenTensors, ProcessorContext, ProcessorTensor } from 'inferry/processor';
import { likeliest } from './likeliest.ts';

const begin = 30_522n;
const end = 102n;
const tokensMax = 20;

type Inputs = { readonly pixel_values: ProcessorTensor<'FP32'> };
type Outputs = { readonly logits: ProcessorTensor<'FP32'> };

export async function generate(ctx: ProcessorContext<Inputs>): Promise<GivenTensors> {
  const { pixel_values } = ctx.inputs;
  const tokens = [begin];
  while (tokens.length <= tokensMax) {
    const shape = [1, tokens.length];
    const input_ids = { data: BigInt64Array.from(tokens), shape };
    const attention_mask = { data: new BigInt64Array(tokens.length).fill(1n), shape };
    const { logits } = await ctx.run<Outputs>({ pixel_values, input_ids, attention_mask });
    const token = BigInt(likeliest(logits));
    if (token === end) break;
    tokens.push(token);
    await ctx.emit({ tokens: { data: BigInt64Array.of(token) } });
  }
  return { tokens: { data: BigInt64Array.from(tokens.slice(1)) } };
}
