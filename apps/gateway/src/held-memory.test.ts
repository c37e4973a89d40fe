/** What a request keeps while its job waits, over each of the protocols. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { waitFor } from '@inferry/testkit';
import { expect, test } from 'vitest';

import { field, type GrpcGateway, openGrpc, workFor } from './grpc/grpc-fixture.test.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Too small for memory that is lent, and too large for the pool of Node. */
const picture = Buffer.alloc(12_000, 7);

const image = { 'Content-Type': 'image/png' };

const calls: readonly [string, (gateway: GrpcGateway) => Promise<unknown>][] = [
  [
    'TensorFlow Serving',
    (gateway) =>
      gateway.request('/v1/models/digits:predict', {
        method: 'POST',
        body: JSON.stringify({ instances: [{ b64: picture.toString('base64') }] }),
      }),
  ],
  [
    'BentoML',
    (gateway) =>
      gateway.request('/bento/digits', {
        method: 'POST',
        headers: image,
        body: picture,
      }),
  ],
  [
    'the job API',
    (gateway) =>
      gateway.request('/v1/models/digits/jobs', {
        method: 'POST',
        headers: { ...image, Prefer: 'wait=10' },
        body: picture,
      }),
  ],
  [
    'gRPC',
    (gateway) => {
      const size = Buffer.alloc(4);
      size.writeUInt32LE(picture.length);
      const input = [field(1, 'image'), field(2, 'BYTES'), field(3, Buffer.of(1))];
      const raw = field(7, Buffer.concat([size, picture]));
      const message = [field(1, 'digits'), field(5, Buffer.concat(input)), raw];
      return gateway.call('ModelInfer', Buffer.concat(message));
    },
  ],
];

test.each(calls)('a request of %s keeps nothing of its input', async (_, send) => {
  const gateway = await openGrpc();
  const { queue } = gateway;
  const enqueue = queue.enqueue.bind(queue);
  const inputs: WeakRef<object>[] = [];
  queue.enqueue = (job, payload, terms) => {
    const pieces = payload instanceof Uint8Array ? [payload] : payload;
    for (const piece of pieces) {
      if (piece.length === picture.length) inputs.push(new WeakRef(piece.buffer));
    }
    return enqueue(job, payload, terms);
  };
  const answered = send(gateway);
  await waitFor(() => inputs.length > 0, { what: 'the job to be queued' });
  await waitFor(
    () => {
      collectGarbage();
      return inputs.every((input) => input.deref() === undefined);
    },
    { what: 'the input to be let go of' },
  );
  expect(inputs).toHaveLength(1);
  workFor(gateway);
  await answered;
});
