/** What goes in comes out: every datatype, exactly, over both surfaces, and the shapes models have. */
import { waitFor } from '@inferry/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, call, fixtureModels, postJson, type RunningRole, System } from '../system.ts';

interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: readonly unknown[];
}

/** Two rows of two elements for each fixture model `identity_<dtype>`: the limits of each datatype. */
const identities: readonly (readonly [string, string, readonly unknown[]])[] = [
  ['fp32', 'FP32', [1.5, -0.25, 3.4028234663852886e38, 'NaN']],
  ['fp64', 'FP64', [0.1, -1e300, 5e-324, '-Infinity']],
  ['fp16', 'FP16', [0.5, -2, 65504, 'Infinity']],
  ['int8', 'INT8', [-128, 127, 0, 1]],
  ['uint8', 'UINT8', [0, 255, 1, 2]],
  ['int16', 'INT16', [-32768, 32767, 0, 1]],
  ['uint16', 'UINT16', [0, 65535, 1, 2]],
  ['int32', 'INT32', [-2147483648, 2147483647, 0, 1]],
  ['uint32', 'UINT32', [0, 4294967295, 1, 2]],
  ['int64', 'INT64', [0, -1, 9007199254740991, -9007199254740991]],
  ['uint64', 'UINT64', [0, 1, 2, 9007199254740991]],
  ['bool', 'BOOL', [true, false, false, true]],
  ['string', 'BYTES', ['', 'petal', 'größe 北 🌸', 'a"b\\c\n']],
];

/** Whole numbers that a JavaScript number cannot hold. */
const long = '[9007199254740993,-9223372036854775808,9223372036854775807,-9007199254740993]';
const longUnsigned = '[18446744073709551615,9007199254740993,0,1]';

describe('one gateway and one worker on the test models', () => {
  let system: System;
  let gateway: RunningRole;

  beforeAll(async () => {
    system = await System.open();
    [gateway] = await Promise.all([
      system.start('gateway', fixtureModels),
      system.start('worker', fixtureModels),
    ]);
  }, 60_000);

  afterAll(async () => {
    await system.stop();
  });

  function infer(model: string, body: unknown): Promise<Answer> {
    return postJson(`${gateway.url}/v2/models/${model}/infer`, body);
  }

  /** The text of the answer: parsing it would round what the test is about. */
  async function postText(path: string, body: string): Promise<string> {
    const headers = { 'content-type': 'application/json', prefer: 'wait=20' };
    const response = await fetch(gateway.url + path, { method: 'POST', headers, body });
    const text = await response.text();
    expect(response.status, text).toBe(200);
    return text;
  }

  test.each(identities)(
    'identity_%s: elements of %s come back unchanged',
    async (dtype, datatype, data) => {
      const tensor = { datatype, shape: [2, 2], data };
      const answer = await infer(`identity_${dtype}`, {
        id: dtype,
        inputs: [{ name: 'x', ...tensor }],
      });
      expect(answer, JSON.stringify(answer.body)).toMatchObject({ status: 200 });
      expect(answer.body).toEqual({
        model_name: `identity_${dtype}`,
        model_version: '1',
        id: dtype,
        outputs: [{ name: 'y', ...tensor }],
      });
    },
  );

  test('a text given as base64 is that text; bytes that are no text are refused by name', async () => {
    const tensor = { name: 'x', datatype: 'BYTES', shape: [1, 2] };
    const data = [{ b64: 'cGV0YWw=' }, 'sepal'];
    const text = await infer('identity_string', { inputs: [{ ...tensor, data }] });
    expect(text.body).toMatchObject({ outputs: [{ data: ['petal', 'sepal'] }] });
    const bytes = await infer('identity_string', {
      inputs: [{ ...tensor, data: [{ b64: '/wD+' }, ''] }],
    });
    expect(bytes).toMatchObject({ status: 400, body: { code: 'input_rejected' } });
    expect(bytes.body['detail']).toContain('"x" element 0');
  });

  test.each([
    ['int64', 'INT64', long],
    ['uint64', 'UINT64', longUnsigned],
  ])('64-bit integers of identity_%s are exact on both surfaces', async (dtype, datatype, data) => {
    const inputs = `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[2,2],"data":${data}}]}`;
    const v2 = await postText(`/v2/models/identity_${dtype}/infer`, inputs);
    expect(v2).toContain(`"data":${data}`);
    const job = await postText(`/v1/models/identity_${dtype}/jobs`, `{"input":${inputs}}`);
    expect(job).toContain('"status":"succeeded"');
    expect(job).toContain(`"data":${data}`);
  });

  test('several inputs, several outputs, and only those that were asked for', async () => {
    const inputs: readonly Tensor[] = [
      { name: 'b', datatype: 'FP32', shape: [1, 2], data: [1, 2] },
      { name: 'a', datatype: 'FP32', shape: [1, 2], data: [10, 20] },
    ];
    const sum = { name: 'sum', datatype: 'FP32', shape: [1, 2], data: [11, 22] };
    const difference = { name: 'difference', datatype: 'FP32', shape: [1, 2], data: [9, 18] };
    const all = await infer('two_inputs', { inputs });
    expect(all).toMatchObject({ status: 200, body: { outputs: [sum, difference] } });
    const one = await infer('two_inputs', { inputs, outputs: [{ name: 'difference' }] });
    expect(one.body['outputs']).toEqual([difference]);
  });

  test('a model without a batch dimension runs each job alone', async () => {
    const answers = await Promise.all(
      [0, 10, 20].map((n) => {
        const data = [1, 2, 3, 4, 5, 6].map((value) => value + n);
        const inputs = [{ name: 'x', datatype: 'FP32', shape: [2, 3], data }];
        return postJson(
          `${gateway.url}/v1/models/matrix/jobs`,
          { input: { inputs } },
          { prefer: 'wait=20' },
        );
      }),
    );
    for (const [i, answer] of answers.entries()) {
      const data = [1, 4, 2, 5, 3, 6].map((value) => value + 10 * i);
      expect(answer, JSON.stringify(answer.body)).toMatchObject({
        status: 200,
        body: {
          status: 'succeeded',
          metrics: { batch_size: 1 },
          output: { outputs: [{ name: 'y', datatype: 'FP32', shape: [3, 2], data }] },
        },
      });
    }
  });

  test('metadata tells what a model takes, so that a client can build a request from it', async () => {
    expect(await call(`${gateway.url}/v2/models/two_inputs`)).toMatchObject({
      status: 200,
      body: {
        name: 'two_inputs',
        versions: ['1'],
        inputs: [
          { name: 'a', datatype: 'FP32', shape: [-1, 2] },
          { name: 'b', datatype: 'FP32', shape: [-1, 2] },
        ],
      },
    });
    // The gateway looks at the workers' announcements every half second.
    const ready = `${gateway.url}/v2/models/matrix/versions/1/ready`;
    await waitFor(async () => (await call(ready)).status === 200, {
      what: 'the model to be ready',
    });
  });

  test('several rows in one request stay together and in order', async () => {
    const data = Array.from({ length: 16 }, (_, i) => i);
    const inputs = [{ name: 'x', datatype: 'INT32', shape: [8, 2], data }];
    const { status, body } = await infer('identity_int32', { inputs });
    expect(status, JSON.stringify(body)).toBe(200);
    expect(body).toMatchObject({ outputs: [{ name: 'y', shape: [8, 2], data }] });
  });
});
