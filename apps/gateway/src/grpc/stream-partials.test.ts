import { type ClientDuplexStream, Metadata } from '@grpc/grpc-js';
import { classOf } from '@inferry/contracts';
import { waitFor } from '@inferry/testkit';
import { expect, test } from 'vitest';

import { claimTalk, say, saying, settleTalk, talker } from '../streaming/talker-fixture.test.ts';
import { field, type GrpcGateway, openGrpc, service } from './grpc-fixture.test.ts';

const text = (value: string): Buffer =>
  Buffer.concat([Buffer.of(value.length, 0, 0, 0), Buffer.from(value)]);

/** A request with one prompt, `[1, 1]`. */
function prompt(id: string): Buffer {
  const shape = field(3, Buffer.of(1, 1));
  const input = Buffer.concat([field(1, 'prompt'), field(2, 'BYTES'), shape]);
  return Buffer.concat([field(1, 'talker'), field(3, id), field(5, input), field(7, text('hi'))]);
}

interface StreamAnswer {
  readonly id: string;
  readonly said: string;
  readonly isFinal: unknown;
}

function openStream(fixture: GrpcGateway): {
  readonly stream: ClientDuplexStream<Buffer, Buffer>;
  readonly answers: StreamAnswer[];
  readonly ended: Promise<unknown>;
} {
  const stream = fixture.client.makeBidiStreamRequest(
    `${service}/ModelStreamInfer`,
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
    new Metadata(),
  );
  const answers: StreamAnswer[] = [];
  stream.on('error', () => undefined);
  stream.on('data', (bytes: Buffer) => answers.push(readAnswer(bytes)));
  return { stream, answers, ended: new Promise((resolve) => stream.on('end', resolve)) };
}

/** The message inside that of a stream has the field 2; only its text and its parameter are looked at. */
function readAnswer(bytes: Buffer): StreamAnswer {
  const latin = bytes.toString('latin1');
  const flag = latin.indexOf('triton_final_response');
  return {
    id: /id-[a-z]/u.exec(latin)?.[0] ?? '',
    said: /said [a-z]+/u.exec(latin)?.[0] ?? '',
    // The length of the value, then its field 1.
    isFinal: flag === -1 ? undefined : bytes[flag + 'triton_final_response'.length + 3] === 1,
  };
}

test('a stream has an answer for each part as it is told, and the whole as the last', async () => {
  const fixture = await openGrpc({}, { models: [talker] });
  const { answers, ended, stream } = openStream(fixture);
  stream.write(prompt('id-a'));
  const claim = await claimTalk(fixture.queue);
  await say(fixture.queue, claim, 'said one');
  await waitFor(() => answers.length === 1, { timeoutMs: 5_000 });
  await fixture.queue.partials.emit(claim.job.class, claim, 2, saying('said two').output!);
  await settleTalk(fixture.queue, claim, saying('said all'));
  stream.end();
  await ended;
  expect(answers).toEqual([
    { id: 'id-a', said: 'said one', isFinal: false },
    { id: 'id-a', said: 'said two', isFinal: false },
    { id: 'id-a', said: 'said all', isFinal: true },
  ]);
});

test('parts of a request come behind the answers to those in front of it', async () => {
  const fixture = await openGrpc({}, { models: [talker] });
  const { answers, ended, stream } = openStream(fixture);
  stream.write(prompt('id-a'));
  const first = await claimTalk(fixture.queue);
  stream.write(prompt('id-b'));
  const second = await claimTalk(fixture.queue);
  await say(fixture.queue, second, 'said later');
  await settleTalk(fixture.queue, second, saying('said last'));
  await say(fixture.queue, first, 'said sooner');
  await settleTalk(fixture.queue, first, saying('said first'));
  stream.end();
  await ended;
  const told = answers.map(({ id, said }) => `${id} ${said}`);
  expect(told).toEqual([
    'id-a said sooner',
    'id-a said first',
    'id-b said later',
    'id-b said last',
  ]);
});

test('a request that has ended holds no place for those who wait while its parts are not read', async () => {
  const fixture = await openGrpc({ heldRequestsMax: 2 }, { models: [talker] });
  const { answers, ended, stream } = openStream(fixture);
  stream.write(prompt('id-a'));
  const first = await claimTalk(fixture.queue);
  stream.write(prompt('id-b'));
  const second = await claimTalk(fixture.queue);
  await say(fixture.queue, second, 'said later');
  await settleTalk(fixture.queue, second, saying('said last'));
  const isTaken = async (): Promise<boolean> => {
    const other = fixture.call('ModelInfer', prompt('id-c'));
    const refused = await Promise.race([other, claimTalk(fixture.queue)]);
    if ('error' in refused) return false;
    await settleTalk(fixture.queue, refused, saying('said other'));
    return (await other).error === null;
  };
  await waitFor(isTaken, { timeoutMs: 5_000, what: 'the place of the second request to be free' });
  await settleTalk(fixture.queue, first, saying('said first'));
  stream.end();
  await ended;
  expect(answers.map(({ said }) => said)).toEqual(['said first', 'said later', 'said last']);
});

test('a call with one answer gets the whole', async () => {
  const fixture = await openGrpc({}, { models: [talker] });
  const calling = fixture.call('ModelInfer', prompt('id-a'));
  const claim = await claimTalk(fixture.queue);
  await say(fixture.queue, claim, 'said one');
  await settleTalk(fixture.queue, claim, saying('said all'));
  const { answer } = await calling;
  expect(answer?.toString('latin1')).toContain('said all');
  expect(answer?.toString('latin1')).not.toContain('triton_final_response');
});

test('a stream that is canceled while it is told cancels its job', async () => {
  const fixture = await openGrpc({}, { models: [talker] });
  const { answers, stream } = openStream(fixture);
  stream.write(prompt('id-a'));
  const claim = await claimTalk(fixture.queue);
  await say(fixture.queue, claim, 'said one');
  await waitFor(() => answers.length === 1, { timeoutMs: 5_000 });
  stream.cancel();
  await waitFor(
    async () => (await fixture.queue.stats([classOf('talker', '1')]))[0]?.active === 0,
    { timeoutMs: 5_000, what: 'the job to be canceled' },
  );
});
