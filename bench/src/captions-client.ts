/** Captions over v2: token by token from outside, or by the processor; and what the model's statistics say of them. */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';

const vocabulary = 30_524;
const begin = 30_522;
const end = 102;
const tokensMax = 20;

/** The tokens of a picture's caption. */
export type Caption = (url: string, pixels: Float32Array) => Promise<readonly number[]>;

/** As a program beside Triton does it: a request for each token, with the picture and all tokens so far. */
export const captionByClient: Caption = async (url, pixels) => {
  const tokens = [begin];
  while (tokens.length <= tokensMax) {
    const shape = [1, tokens.length];
    const answer = await infer(`${url}/v2/models/blip/infer`, [
      { name: 'pixel_values', datatype: 'FP32', shape: [1, 3, 384, 384], data: pixels },
      { name: 'input_ids', datatype: 'INT64', shape, data: BigInt64Array.from(tokens, BigInt) },
      {
        name: 'attention_mask',
        datatype: 'INT64',
        shape,
        data: new BigInt64Array(tokens.length).fill(1n),
      },
    ]);
    const logits = new Float32Array(answer.slice(answer.byteLength - vocabulary * 4));
    const token = likeliest(logits);
    if (token === end) break;
    tokens.push(token);
  }
  return tokens.slice(1);
};

/** One request, and the loop is in the worker. */
export const captionByProcessor: Caption = async (url, pixels) => {
  const answer = await infer(`${url}/v2/models/captions/infer`, [
    { name: 'pixel_values', datatype: 'FP32', shape: [3, 384, 384], data: pixels },
  ]);
  return Array.from(new BigInt64Array(answer), Number);
};

interface Given {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

// The least that a client can take of the machine it shares with what is measured.
const agent = new Agent({ keepAlive: true });

/** The bytes of the only output. */
async function infer(url: string, inputs: readonly Given[]): Promise<ArrayBuffer> {
  const header = JSON.stringify({
    inputs: inputs.map(({ data, ...input }) => ({
      ...input,
      parameters: { binary_data_size: data.byteLength },
    })),
    parameters: { binary_data_output: true },
  });
  const blobs = inputs.map(({ data }) => new Uint8Array(data.buffer));
  const jsonBytes = Buffer.byteLength(header);
  const sent = request(url, {
    method: 'POST',
    agent,
    headers: {
      'inference-header-content-length': jsonBytes,
      'content-length': blobs.reduce((sum, blob) => sum + blob.length, jsonBytes),
    },
  });
  sent.cork();
  for (const piece of [header, ...blobs]) sent.write(piece);
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const body = await buffer(response);
  if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${body.toString()}`);
  const outputs = Number(response.headers['inference-header-content-length']);
  return Uint8Array.from(body.subarray(outputs)).buffer;
}

function likeliest(scores: Float32Array): number {
  let best = 0;
  for (let i = 1; i < scores.length; i += 1) if ((scores[i] ?? 0) > (scores[best] ?? 0)) best = i;
  return best;
}

interface Counts {
  readonly rows: number;
  readonly runs: number;
  /** Runs by their rows. */
  readonly sizes: ReadonlyMap<number, number>;
}

interface Statistic extends Counts {
  readonly since: (before: Counts) => {
    readonly steps: number;
    readonly runs: number;
    readonly rowsMax: number;
  };
}

/** What `GET /v2/models/{model}/stats` tells, which workers add to once a second. */
export class Statistics {
  readonly #url: string;

  constructor(url: string, model: string) {
    this.#url = `${url}/v2/models/${model}/stats`;
  }

  /** Once nothing was added for longer than workers take. */
  async settled(): Promise<Statistic> {
    for (let last = await this.#read(); ;) {
      await pause(2_500);
      const next = await this.#read();
      if (next.rows === last.rows) return { ...next, since: (before) => difference(before, next) };
      last = next;
    }
  }

  async #read(): Promise<Counts> {
    const response = await fetch(this.#url);
    const { model_stats: models } = (await response.json()) as {
      readonly model_stats: readonly {
        readonly inference_count: number;
        readonly execution_count: number;
        readonly batch_stats: readonly {
          readonly batch_size: number;
          readonly compute_infer: { readonly count: number };
        }[];
      }[];
    };
    const [model] = models;
    if (model === undefined) throw new Error('the model has no statistics');
    const sizes = model.batch_stats.map((b) => [b.batch_size, b.compute_infer.count] as const);
    return { rows: model.inference_count, runs: model.execution_count, sizes: new Map(sizes) };
  }
}

function difference(before: Counts, now: Counts): ReturnType<Statistic['since']> {
  const grown = [...now.sizes].filter(([size, count]) => count > (before.sizes.get(size) ?? 0));
  return {
    steps: now.rows - before.rows,
    runs: now.runs - before.runs,
    rowsMax: Math.max(0, ...grown.map(([size]) => size)),
  };
}
