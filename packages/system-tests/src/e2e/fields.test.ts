/** Models that take text and nested arrays, from their `model.yaml` alone: what a caller sends, and gets. */
import { type AppProcess, repositoryPath, startProcess } from '@inferry/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Answer,
  call,
  type Document,
  postJson,
  readiness,
  type RunningRole,
} from '../system.ts';

let serve: AppProcess;
let role: RunningRole;

beforeAll(async () => {
  const argv = ['serve', repositoryPath('packages/testkit/fixtures/pipelines')];
  serve = startProcess(argv, { env: { PORT: '0', METRICS_PORT: '0' } });
  role = await readiness(serve, 'serve');
});

afterAll(async () => {
  await serve[Symbol.asyncDispose]();
});

function submit(model: string, input: Document): Promise<Answer> {
  return postJson(`${role.url}/v1/models/${model}/jobs`, { input }, { prefer: 'wait=30' });
}

function outputOf({ status, body }: Answer): Document {
  expect([status, body['error']]).toEqual([200, null]);
  return body['output'] as Document;
}

/** What the model gives for texts of which a share of the tokens speaks for each of the three. */
function scores(negative: number, neutral: number, positive: number, tokens: number): number[] {
  return [negative, neutral, positive].map((sum, i) => (8 * sum) / tokens + (i === 1 ? 0.5 : 0));
}

describe('a model of texts', () => {
  test('answers with labels; words are found whatever their case and accents', async () => {
    const good = outputOf(await submit('sentiment', { text: 'The movie was GRÉAT, and good!' }));
    expect(good).toMatchObject({ label: 'positive' });
    const bad = outputOf(await submit('sentiment', { text: 'awful' }));
    const [negative, neutral] = scores(2, 0, 0, 3).map(Math.exp);
    expect(bad['score']).toBeCloseTo((negative ?? 0) / ((negative ?? 0) + (neutral ?? 0) + 1), 6);
  });

  test('texts of several lengths that are claimed together run with others of their length', async () => {
    const short = ['good', 'the movie was bad'];
    const long = [
      'good and great and fine and good',
      'the movie was bad and awful and the movie was fine',
    ];
    // The batch departs when it holds four.
    const answers = await Promise.all(
      [...short, ...long].map((text) => submit('sentiment_tensors', { text })),
    );
    const outputs = answers.map(outputOf);
    expect(outputs.map(({ length }) => length)).toEqual([8, 8, 16, 16]);
    expect(outputs.map(({ tokens }) => tokens)).toEqual([3, 6, 9, 13]);
    expect(answers.map(({ body }) => body['metrics'])).toMatchObject(
      answers.map(() => ({ batch_size: 2 })),
    );
    const wanted = [
      scores(0, 0, 1, 3),
      scores(1, 0, 0, 6),
      scores(0, 1, 4, 9),
      scores(3, 1, 0, 13),
    ];
    for (const [i, { scores: found }] of outputs.entries()) {
      for (const [at, score] of (wanted[i] ?? []).entries()) {
        expect((found as number[])[at]).toBeCloseTo(score, 4);
      }
    }
  });

  test('a text with too many tokens is cut off behind, and its end mark kept', async () => {
    const inputs = [0, 1, 2, 3].map(() => ({ text: `awful ${'the '.repeat(100)}` }));
    const answers = await Promise.all(inputs.map((input) => submit('sentiment_tensors', input)));
    for (const answer of answers) {
      expect(outputOf(answer)).toMatchObject({ tokens: 32, length: 32 });
      expect((outputOf(answer)['scores'] as number[])[0]).toBeCloseTo(16 / 32, 4);
    }
  });

  test('several texts travel as one request of the Open Inference Protocol', async () => {
    const texts = { name: 'text', datatype: 'BYTES', shape: [2], data: ['great', 'bad and awful'] };
    const { status, body } = await postJson(`${role.url}/v2/models/sentiment/infer`, {
      inputs: [texts],
    });
    expect(status).toBe(200);
    const [output] = body['outputs'] as { readonly data: readonly string[] }[];
    const labels = output?.data.map((row) => (JSON.parse(row) as { label: string }).label);
    expect(labels).toEqual(['positive', 'negative']);
  });

  test.each([
    ['no text', { text: 7 }, '"text" must be text.'],
    ['too many bytes', { text: 'é'.repeat(501) }, '"text" has 1002 bytes; at most 1000 are taken.'],
    ['another field', { txt: 'good' }, '"txt" is not known; the model takes "text".'],
    ['nothing', {}, '"text" is missing.'],
  ])('refuses %s, and says what is wrong', async (_, input, detail) => {
    const { status, body } = await submit('sentiment', input);
    expect([status, body['code'], body['detail']]).toEqual([422, 'invalid_input', detail]);
  });
});

describe('a model of nested arrays', () => {
  test('takes each input as a field and answers in the shape of its outputs', async () => {
    const answer = await submit('sums', { a: [1, 2], b: [10, 20] });
    // b becomes (b * 2 - [1, 0]) / 0.5.
    expect(outputOf(answer)).toEqual({ sum: [1 + 38, 2 + 80] });
  });

  test.each([
    ['too few entries', { a: [1], b: [1, 2] }, '"a" is FP32 [2]: it has 1 entries, not 2.'],
    ['a word', { a: [1, 2], b: [1, 'x'] }, '"b" is FP32 [2]: [1] must be a number'],
    ['a missing field', { a: [1, 2] }, '"b" is missing; it is FP32 [2].'],
    ['an unknown field', { a: [1, 2], b: [1, 2], c: 1 }, '"c" is not an input of the model'],
  ])('refuses %s, and says where', async (_, input, detail) => {
    const { status, body } = await submit('sums', input);
    expect([status, body['code']]).toEqual([422, 'invalid_input']);
    expect(body['detail']).toContain(detail);
  });
});

/** The examples of the documentation for submitting a job, by model. */
async function documentedExamples(): Promise<
  Readonly<Record<string, { readonly value: Document }>>
> {
  const { body } = await call(`${role.url}/openapi.json`);
  const { post } = (body as unknown as OpenApi).paths['/v1/models/{model}/jobs'];
  return post.requestBody.content['application/json'].examples;
}

interface OpenApi {
  readonly paths: {
    readonly '/v1/models/{model}/jobs': {
      readonly post: {
        readonly requestBody: {
          readonly content: {
            readonly 'application/json': {
              readonly examples: Readonly<Record<string, { readonly value: Document }>>;
            };
          };
        };
      };
    };
  };
}

test.each([
  ['sentiment', '"text"'],
  ['sums', '"b"'],
])('%s says what it takes, and its example in the documentation works', async (name, field) => {
  const model = await call(`${role.url}/v1/models/${name}`);
  expect(JSON.stringify(model.body['input_schema'])).toContain(field);
  const example = (await documentedExamples())[name]?.value ?? {};
  expect(JSON.stringify(example)).toContain(field);
  const url = `${role.url}/v1/models/${name}/jobs`;
  outputOf(await postJson(url, example, { prefer: 'wait=30' }));
});
