/** Clients of TensorFlow Serving, KServe V1 and BentoML against real processes: the demo models, and exact tensors. */
import { readFile } from 'node:fs/promises';

import { type AppProcess, repositoryPath, startProcess, waitFor } from '@inferry/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  call,
  demoModels,
  type Document,
  fixtureModels,
  inParallel,
  metricSum,
  postJson,
  readiness,
  type RunningRole,
  System,
} from '../system.ts';

interface Labelled {
  readonly label: string;
  readonly score: number;
}

async function b64Of(path: string): Promise<{ readonly b64: string }> {
  return { b64: (await readFile(repositoryPath(path))).toString('base64') };
}

describe('the demo models', () => {
  let system: System;
  let gateway: RunningRole;

  beforeAll(async () => {
    system = await System.open();
    [gateway] = await Promise.all([
      system.start('gateway', demoModels),
      system.start('worker', demoModels),
    ]);
  }, 60_000);

  afterAll(async () => {
    await system.stop();
  });

  /** As the tutorials of TensorFlow Serving do it: JSON as text, without a media type. */
  async function predict(model: string, body: unknown): Promise<Document> {
    const url = `${gateway.url}/v1/models/${model}:predict`;
    const { body: answer, status } = await call(url, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    expect(status, JSON.stringify(answer)).toBe(200);
    return answer;
  }

  test('a status tells when the model is there, for either client', async () => {
    const url = `${gateway.url}/v1/models/iris`;
    await waitFor(async () => (await call(url)).body['ready'] === true, { what: 'iris' });
    const available = { state: 'AVAILABLE', status: { error_code: 'OK', error_message: '' } };
    expect((await call(url)).body).toMatchObject({
      name: 'iris',
      model_version_status: [{ version: '1', ...available }],
    });
    expect((await call(`${gateway.url}/v1/models`)).body['models']).toEqual(['digits', 'iris']);
  });

  test('a Keras-like client gets a score a class for each row, from what the metadata says', async () => {
    const { body } = await call(`${gateway.url}/v1/models/iris/metadata`);
    expect(JSON.stringify(body)).toContain('"input":{"dtype":"DT_FLOAT"');
    const heldout = await readFile(repositoryPath('models/iris/heldout/heldout.json'), 'utf8');
    const { labels, rows } = JSON.parse(heldout) as { rows: number[][]; labels: number[] };
    const instances = rows.slice(0, 20);
    const all = await predict('iris', { signature_name: 'serving_default', instances });
    const predictions = all['predictions'] as { probabilities: number[] }[];
    const best = predictions.map(({ probabilities }) =>
      probabilities.indexOf(Math.max(...probabilities)),
    );
    const right = best.filter((index, i) => index === labels[i]);
    expect([predictions.length, right.length >= 18]).toEqual([20, true]);
    const columns = await predict('iris/versions/1', { inputs: { input: instances } });
    const { probabilities } = columns['outputs'] as { probabilities: number[][] };
    expect(probabilities).toEqual(predictions.map((row) => row.probabilities));
  });

  test('images and tables go through the pipelines of their models', async () => {
    const seven = await b64Of('models/digits/samples/seven.png');
    const three = await b64Of('models/digits/samples/three-on-paper.jpg');
    const images = await predict('digits', { instances: [seven, three] });
    expect((images['predictions'] as Labelled[]).map(({ label }) => label)).toEqual(['7', '3']);
    const named = await predict('digits', { inputs: { image: [three] } });
    expect(named['outputs']).toMatchObject([{ label: '3' }]);
    const flower = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };
    const table = await predict('iris', { instances: [flower] });
    expect(table['predictions']).toMatchObject([{ label: 'setosa' }]);
    const classified = await postJson(`${gateway.url}/v1/models/iris:classify`, {
      examples: [flower],
    });
    const [[top] = []] = classified.body['result'] as [string, number][][];
    expect(top).toEqual(['setosa', (table['predictions'] as Labelled[])[0]?.score]);
  });

  test('a model can be called by its inputs, with a file or with JSON', async () => {
    const file = await readFile(repositoryPath('models/digits/samples/seven.png'));
    const form = new FormData();
    form.set('image', new Blob([new Uint8Array(file)], { type: 'image/png' }), 'seven.png');
    const image = await call(`${gateway.url}/bento/digits`, { method: 'POST', body: form });
    expect(image).toMatchObject({ status: 200, body: { label: '7' } });
    const flower = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };
    const table = await postJson(`${gateway.url}/bento/iris`, flower);
    expect(table).toMatchObject({ status: 200, body: { label: 'setosa' } });
  });

  test('many callers at once each get their own answer', async () => {
    const asked = Array.from({ length: 60 }, (_, i) => [
      4 + (i % 30) / 10,
      3,
      1 + (i % 50) / 10,
      1,
    ]);
    const alone = (await predict('iris', { instances: asked }))['predictions'];
    const answers = await inParallel(asked, 20, async (row) => {
      const { predictions } = await predict('iris', { instances: [row] });
      return (predictions as unknown[])[0];
    });
    // Sums are taken in another order in a batch of another size.
    const round = (value: unknown): string =>
      JSON.stringify(value, (_, item: unknown) =>
        typeof item === 'number' ? item.toFixed(4) : item,
      );
    expect(answers.map(round)).toEqual((alone as unknown[]).map(round));
  });

  test('a damaged image and an unknown model are told where such clients look', async () => {
    const text = { b64: Buffer.from('no image at all').toString('base64') };
    const url = `${gateway.url}/v1/models/digits:predict`;
    const damaged = await postJson(url, { instances: [text] });
    expect([damaged.status, damaged.body['code']]).toEqual([400, 'input_rejected']);
    expect(damaged.body['error']).toBe(damaged.body['detail']);
    const unknown = await postJson(`${gateway.url}/v1/models/none:predict`, { instances: [1] });
    expect([unknown.status, typeof unknown.body['error']]).toEqual([404, 'string']);
    const labels = { route: '/v1/models/{model}:predict', code: '400' };
    expect(await metricSum([gateway], 'inferry_http_request_duration_seconds_count', labels)).toBe(
      1,
    );
  });
});

describe('the test models', () => {
  let serve: AppProcess;
  let url: string;

  beforeAll(async () => {
    serve = startProcess(['serve', '--models', fixtureModels], {
      env: { PORT: '0', METRICS_PORT: '0' },
    });
    url = (await readiness(serve, 'serve')).url;
  }, 60_000);

  afterAll(async () => {
    await serve[Symbol.asyncDispose]();
  });

  /** The text of the answer: parsing it would round what the test is about. */
  async function predict(model: string, body: string): Promise<string> {
    const init = { method: 'POST', body };
    return (await fetch(`${url}/v1/models/${model}:predict`, init)).text();
  }

  test.each([
    ['identity_int64', '[[9007199254740993,-9223372036854775808]]'],
    ['identity_uint64', '[[18446744073709551615,0],[1,2]]'],
    ['identity_fp32', '[["NaN","-Infinity"],[1.5,-0]]'],
    ['identity_bool', '[[true,false]]'],
    ['identity_string', '[["größe 🌸",""]]'],
  ])('%s gives back what it got, in either format', async (model, rows) => {
    expect(await predict(model, `{"instances":${rows}}`)).toBe(`{"predictions":${rows}}`);
    expect(await predict(model, `{"inputs":${rows}}`)).toBe(`{"outputs":${rows}}`);
  });

  test('several inputs and outputs are objects by name', async () => {
    const rows = '{"instances":[{"a":[10,20],"b":[1,2]},{"a":[0,0],"b":[3,4]}]}';
    expect(await predict('two_inputs', rows)).toBe(
      '{"predictions":[{"sum":[11,22],"difference":[9,18]},{"sum":[3,4],"difference":[-3,-4]}]}',
    );
  });

  test('a model without a batch dimension takes its whole tensor', async () => {
    const matrix = '[[1,2,3],[4,5,6]]';
    expect(await predict('matrix', `{"inputs":${matrix}}`)).toBe('{"outputs":[[1,4],[2,5],[3,6]]}');
    expect(await predict('matrix', `{"instances":${matrix}}`)).toContain(
      'give \\"inputs\\" instead',
    );
  });
});
