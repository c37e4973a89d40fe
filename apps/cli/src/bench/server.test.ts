import { VirtualClock } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import type { Ending } from './exchange.ts';
import { fakeServer, type ScriptedAnswer } from './http.fixture.ts';
import { optionsOf } from './options.fixture.ts';
import { askModel, refusalOf } from './server.ts';

async function ask(line: string, answers: Readonly<Record<string, ScriptedAnswer>>) {
  const clock = new VirtualClock();
  const server = fakeServer(clock, ({ path }) => answers[path] ?? { status: 404 });
  const asking = askModel(optionsOf(line), server);
  await clock.advance(60_000);
  const answer = await asking;
  return { answer: answer.ok ? answer.value : answer.error, sent: server.sent };
}

describe('asking for the model', () => {
  test('gives its metadata, and uses the headers that were given', async () => {
    const { answer, sent } = await ask('m --header X-Key:1', {
      '/v2/models/m': { body: { inputs: [] } },
    });
    expect(answer).toEqual({ inputs: [] });
    expect(sent[0]?.headers).toEqual({ 'x-key': '1' });
  });

  test('that is not there names the one that was meant', async () => {
    const models = { '/v2/models': { body: { models: ['iris', 'digits'] } } };
    expect((await ask('irsi', models)).answer).toBe(
      'http://127.0.0.1:8000 has no model "irsi"; did you mean iris?',
    );
    expect((await ask('resnet', models)).answer).toBe(
      'http://127.0.0.1:8000 has no model "resnet"; it has iris, digits',
    );
    expect((await ask('iris@7', models)).answer).toBe(
      'http://127.0.0.1:8000 has no model "iris" version 7',
    );
    expect((await ask('irsi', {})).answer).toBe('http://127.0.0.1:8000 has no model "irsi"');
  });

  test('tells what else the server says, or that there is none', async () => {
    const path = '/v2/models/m';
    expect((await ask('m', { [path]: { status: 401, body: { error: 'no key' } } })).answer).toBe(
      'http://127.0.0.1:8000 answers 401 when asked for the model: no key',
    );
    const fault = { code: 'ECONNREFUSED', detail: 'nothing listens there' };
    expect((await ask('m', { [path]: { fault } })).answer).toBe(
      'no answer from http://127.0.0.1:8000: nothing listens there',
    );
  });
});

describe('the first request', () => {
  const ending: Ending = {
    status: 200,
    code: null,
    detail: '',
    isSuccess: true,
    stages: new Map(),
    batchRows: null,
    overtakenBy: null,
  };
  const failed = (status: number | null, code: string | null, detail = ''): string | undefined =>
    refusalOf({ ...ending, isSuccess: false, status, code, detail });

  test('that succeeds, or is refused for the load, lets the measurement begin', () => {
    expect(refusalOf(ending)).toBeUndefined();
    expect(failed(503, 'queue_full')).toBeUndefined();
    expect(failed(429, 'quota_exceeded')).toBeUndefined();
    expect(failed(500, 'model_error')).toBeUndefined();
  });

  test('that is wrong in itself, or reaches nobody, does not', () => {
    expect(failed(422, 'invalid_input', '"x" is missing.')).toBe(
      'the first request did not succeed (status 422): invalid_input: "x" is missing.',
    );
    expect(failed(200, 'input_rejected', 'damaged')).toContain('input_rejected: damaged');
    expect(failed(404, null)).toContain('(status 404): no more was told');
    expect(failed(null, 'timeout', 'too slow')).toBe(
      'the first request got no answer: timeout: too slow',
    );
  });
});
