import { classOf } from '@inferry/contracts';
import { EventReader, waitFor } from '@inferry/testkit';
import { afterEach, describe, expect, test } from 'vitest';

import { succeeded, type TestGateway, testGateway } from '../gateway-fixture.test.ts';
import { claimTalk, say, saying, settleTalk, talker } from './talker-fixture.test.ts';

const prompt = '{"prompt":"hello","id":"q1"}';
const head = { id: 'q1', model_name: 'talker', model_version: '1' };

let fixture: TestGateway | undefined;
function open(limits: Parameters<typeof testGateway>[0] = {}): TestGateway {
  fixture = testGateway(limits, { models: [talker] });
  return fixture;
}
afterEach(async () => {
  await fixture?.close();
  fixture = undefined;
});

const post = (gateway: TestGateway, verb: string, body = prompt, signal?: AbortSignal) =>
  gateway.request(`/v2/models/talker/${verb}`, {
    method: 'POST',
    body,
    ...(signal === undefined ? {} : { signal }),
  });

describe('generate', () => {
  test('answers with the outputs by their names, and none of the parts', async () => {
    const gateway = open();
    const answer = post(gateway, 'generate');
    const claim = await claimTalk(gateway.queue);
    await say(gateway.queue, claim, 'a', 'b');
    await settleTalk(gateway.queue, claim, saying('a b'));
    expect(await (await answer).json()).toEqual({ ...head, text: 'a b' });
  });

  test('of a version is that of the version', async () => {
    const gateway = open();
    const answer = await gateway.request('/v2/models/talker/versions/9/generate', {
      method: 'POST',
      body: prompt,
    });
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ error: expect.stringContaining('9') as string });
  });
});

describe('generate_stream', () => {
  test('has an event for each part as it is told, and one for the whole', async () => {
    const gateway = open();
    const answer = post(gateway, 'generate_stream');
    const claim = await claimTalk(gateway.queue);
    await say(gateway.queue, claim, 'a');
    const response = await answer;
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const reader = new EventReader(response);
    expect(await reader.next()).toEqual({
      event: 'message',
      id: undefined,
      data: { ...head, text: 'a' },
    });
    await gateway.queue.partials.emit(claim.job.class, claim, 2, saying('b').output!);
    expect((await reader.next())?.data).toEqual({ ...head, text: 'b' });
    await gateway.queue.partials.emit(claim.job.class, claim, 3, saying('c').output!);
    await settleTalk(gateway.queue, claim, saying('a b c'));
    const rest = (await reader.all()).map(({ data }) => data['text']);
    expect(rest).toEqual(['c', 'a b c']);
  });

  test('of a job that tells nothing has the answer alone', async () => {
    const gateway = open();
    const answer = post(gateway, 'generate_stream');
    await settleTalk(gateway.queue, await claimTalk(gateway.queue), saying('all'));
    const events = await new EventReader(await answer).all();
    expect(events.map(({ data }) => data)).toEqual([{ ...head, text: 'all' }]);
  });

  test('that is refused, or fails before it tells anything, has the status of its problem', async () => {
    const gateway = open();
    const refused = await post(gateway, 'generate_stream', '{"prompt":7}');
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ code: 'invalid_input' });
    const failing = post(gateway, 'generate_stream');
    const error = { code: 'model_error', detail: 'no such word' } as const;
    const outcome = { ...succeeded, status: 'failed', output: null, error } as const;
    await settleTalk(gateway.queue, await claimTalk(gateway.queue), outcome);
    const failed = await failing;
    expect(failed.status).toBe(500);
    expect(await failed.json()).toMatchObject({ error: 'no such word' });
  });

  test('whose job fails after that ends with the error', async () => {
    const gateway = open();
    const answer = post(gateway, 'generate_stream');
    const claim = await claimTalk(gateway.queue);
    await say(gateway.queue, claim, 'a');
    const reader = new EventReader(await answer);
    await reader.next();
    const error = { code: 'model_error', detail: 'no such word' } as const;
    const outcome = { ...succeeded, status: 'failed', output: null, error } as const;
    await settleTalk(gateway.queue, claim, outcome);
    expect((await reader.all()).map(({ data }) => data)).toEqual([{ error: 'no such word' }]);
  });

  test('whose caller goes away cancels its job, before the first part and after it', async () => {
    const gateway = open({ eventStreamsMax: 1 });
    const isCanceled = async (): Promise<boolean> =>
      (await gateway.queue.stats([classOf('talker', '1')]))[0]?.active === 0;
    const caller = new AbortController();
    const early = post(gateway, 'generate_stream', prompt, caller.signal);
    await claimTalk(gateway.queue);
    caller.abort();
    await waitFor(isCanceled, { timeoutMs: 5_000 });
    await early;
    const answer = post(gateway, 'generate_stream');
    const claim = await claimTalk(gateway.queue);
    await say(gateway.queue, claim, 'a', 'b', 'c');
    const reader = new EventReader(await answer);
    await reader.next();
    await reader.cancel();
    await waitFor(isCanceled, { timeoutMs: 5_000 });
    const isFree = async (): Promise<boolean> =>
      (await post(gateway, 'generate_stream', '{')).status === 400;
    await waitFor(isFree, { timeoutMs: 5_000, what: 'its place to be free' });
  });

  test('is finished by a server that is going, while the job still ends in time', async () => {
    const gateway = open();
    const answer = post(gateway, 'generate_stream');
    const claim = await claimTalk(gateway.queue);
    await say(gateway.queue, claim, 'a');
    const reader = new EventReader(await answer);
    await reader.next();
    const drained = gateway.gateway.drain();
    await settleTalk(gateway.queue, claim, saying('a b'));
    expect((await reader.all()).map(({ data }) => data['text'])).toEqual(['a b']);
    await drained;
  });

  test('has its place when its body is there; without one it makes no job', async () => {
    const gateway = open({ eventStreamsMax: 1 });
    const slow = new ReadableStream<Uint8Array>({ pull: () => new Promise<void>(() => undefined) });
    const init = { method: 'POST', body: slow, duplex: 'half' } as const;
    const arriving = gateway.request('/v2/models/talker/generate_stream', init);
    void arriving.catch(() => undefined);
    const answer = post(gateway, 'generate_stream');
    const claim = await claimTalk(gateway.queue);
    await say(gateway.queue, claim, 'a');
    const reader = new EventReader(await answer);
    await reader.next();
    const refused = await post(gateway, 'generate_stream');
    expect([refused.status, await refused.json()]).toMatchObject([503, { code: 'queue_full' }]);
    expect((await gateway.queue.stats([classOf('talker', '1')]))[0]).toMatchObject({ waiting: 0 });
    await settleTalk(gateway.queue, claim, saying('a b'));
    expect((await reader.all()).map(({ data }) => data['text'])).toEqual(['a b']);
  });

  test('goes on until its answer is there, however long that takes', async () => {
    const gateway = open({ streamAgeMsMax: 20 });
    const answer = post(gateway, 'generate_stream');
    const claim = await claimTalk(gateway.queue);
    await say(gateway.queue, claim, 'a');
    const reader = new EventReader(await answer);
    await reader.next();
    // A stream that began later, and whose caller can come back, has ended by now.
    const submitted = await gateway.request('/v1/models/talker/jobs', {
      method: 'POST',
      body: JSON.stringify({
        input: { inputs: [{ name: 'prompt', datatype: 'BYTES', shape: [1, 1], data: ['hi'] }] },
      }),
      headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream' },
    });
    expect(submitted.status).toBe(200);
    await new EventReader(submitted).all();
    await settleTalk(gateway.queue, claim, saying('a b'));
    expect((await reader.all()).map(({ data }) => data['text'])).toEqual(['a b']);
  });

  test('counts the parts that it tells', async () => {
    const gateway = open();
    const answer = post(gateway, 'generate_stream');
    const claim = await claimTalk(gateway.queue);
    await say(gateway.queue, claim, 'a', 'b');
    await settleTalk(gateway.queue, claim, saying('a b'));
    await new EventReader(await answer).all();
    expect(await gateway.metrics.text()).toMatch(
      /^inferry_partial_outputs_total\{model="talker"\} 2$/mu,
    );
    expect(await gateway.metrics.text()).toMatch(/^inferry_event_streams 0$/mu);
  });
});
