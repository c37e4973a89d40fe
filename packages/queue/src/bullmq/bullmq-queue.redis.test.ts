import { randomBytes } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { type ClassId, classOf, type JobId, type Outcome } from '@inferry/contracts';
import { sleep, systemClock } from '@inferry/runtime';
import { type RedisServer, startRedisServer, waitFor } from '@inferry/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { aJob, describeJobQueue, type Subject, roomy } from '../job-queue.contract.ts';
import type { JobQueue } from '../port.ts';
import type { SweptJob } from '../reports.ts';
import { createBullmqQueue } from './bullmq-queue.ts';
import { openPayloadReader } from './payload-reader.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedisServer();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

const leaseMs = 300;

describeJobQueue('bullmq', async (): Promise<Subject> => {
  const prefix = `t${randomBytes(4).toString('hex')}`;
  const open = (processId: string): JobQueue =>
    createBullmqQueue({
      url: redis.url,
      prefix,
      clock: systemClock,
      processId,
      leaseMs,
      sweepMs: 1,
      resultBytesPerClassMax: 61_000,
    });
  const queue = open('p1');
  const other = open('p2');
  for (const each of [queue, other]) {
    await waitFor(async () => (await each.ping()) !== undefined, { timeoutMs: 5_000 });
  }
  return {
    queue,
    other,
    lapse: async (cls: ClassId) => {
      const returned: JobId[] = [];
      const failed: SweptJob[] = [];
      await waitFor(
        async () => {
          const report = await queue.sweep(cls);
          returned.push(...report.returned);
          failed.push(...report.failed);
          return returned.length + failed.length > 0;
        },
        { timeoutMs: 10_000 },
      );
      return { returned, failed };
    },
    pass: (ms: number) => sleep(systemClock, ms),
    close: async () => {
      await queue.close();
      await other.close();
    },
  };
});

test('a claim whose reply is lost is repeated: its jobs come back once, as a first attempt', async () => {
  const wire = await lossyWire(redis.port);
  const queue = createBullmqQueue({
    url: `redis://127.0.0.1:${wire.port}`,
    prefix: `t${randomBytes(4).toString('hex')}`,
    clock: systemClock,
    processId: 'p1',
  });
  const cls = classOf('m', '1');
  await waitFor(async () => (await queue.ping()) !== undefined, { timeoutMs: 5_000 });
  const ids: JobId[] = [];
  for (let i = 0; i < 3; i += 1) {
    const job = aJob(cls);
    ids.push(job.id);
    await queue.enqueue(job, new Uint8Array([1]), roomy);
  }
  const claim = {
    workerId: 'w1',
    rowsMax: 2,
    rowsMin: 1,
    takeSuspect: false,
    freeInMs: [0],
    agingMs: 60_000,
  };
  wire.loseReplies();
  const lost = await queue.claim(cls, claim).catch(() => undefined);
  wire.restore();
  await waitFor(async () => (await queue.ping()) !== undefined, { timeoutMs: 5_000 });
  const first = lost ?? (await queue.claim(cls, claim));
  const second = await queue.claim(cls, claim);
  const claims = [...first.claims, ...second.claims];
  expect(claims.map(({ job }) => job.id)).toEqual(ids);
  expect(claims.map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
  await queue.close();
  wire.close();
});

test('a settlement whose reply is lost is repeated: its jobs are settled, and are told so', async () => {
  const wire = await lossyWire(redis.port);
  const queue = createBullmqQueue({
    url: `redis://127.0.0.1:${wire.port}`,
    prefix: `t${randomBytes(4).toString('hex')}`,
    clock: systemClock,
    processId: 'p1',
  });
  const cls = classOf('m', '1');
  await waitFor(async () => (await queue.ping()) !== undefined, { timeoutMs: 5_000 });
  for (let i = 0; i < 2; i += 1) await queue.enqueue(aJob(cls), new Uint8Array([1]), roomy);
  const { claims } = await queue.claim(cls, {
    workerId: 'w1',
    rowsMax: 2,
    rowsMin: 1,
    takeSuspect: false,
    freeInMs: [0],
    agingMs: 60_000,
  });
  const outcome: Outcome = {
    status: 'succeeded',
    output: { form: 'rows', rows: [{ label: 'a' }] },
    error: null,
    batchRows: 2,
    timings: null,
    readyAtMs: null,
    overtakenBy: 0,
  };
  const [mine, other] = claims.map((claim) => ({ claim, outcome }));
  // Canceled meanwhile: that is another outcome than its worker's.
  await queue.cancel(other!.claim.job.id, 'no');
  wire.loseReplies();
  const lost = await queue.settle(cls, [mine!, other!]).catch(() => undefined);
  wire.restore();
  await waitFor(async () => (await queue.ping()) !== undefined, { timeoutMs: 5_000 });
  const settled = lost ?? (await queue.settle(cls, [mine!, other!]));
  expect(settled.map(({ result }) => result)).toEqual(['settled', 'lost']);
  await queue.close();
  wire.close();
});

test('a large payload outlives the refusal of its job when the job is taken the next moment', async () => {
  const prefix = `t${randomBytes(4).toString('hex')}`;
  const connection = { url: redis.url, prefix };
  const queue = createBullmqQueue({ ...connection, clock: systemClock, processId: 'p1' });
  const cls = classOf('m', '1');
  await waitFor(async () => (await queue.ping()) !== undefined, { timeoutMs: 5_000 });
  const points = [{ rows: 1, ms: 100 }];
  await queue.offer('w1', cls, { rowsMax: 1, points, tailFactor: 1, rowWorkMs: 100 });
  const payload = new Uint8Array(3_000);
  const budget = { usedMs: 0, budgetMs: 150, needsWorker: true };
  // All of them are told that there is room, and all but one that there is none any more.
  const refused: JobId[] = [];
  const place = async (): Promise<void> => {
    const job = aJob(cls, { payloadBytes: payload.length });
    const inTime = await queue.enqueue(job, payload, { ...roomy, budget });
    if (inTime.ok) return;
    refused.push(job.id);
    await queue.enqueue(job, payload, roomy);
  };
  await Promise.all(Array.from({ length: 20 }, place));
  expect(refused).toHaveLength(19);
  const { claims } = await queue.claim(cls, {
    workerId: 'w1',
    rowsMax: 20,
    rowsMin: 1,
    takeSuspect: false,
    freeInMs: [0],
    agingMs: 60_000,
  });
  const reader = openPayloadReader(connection);
  const payloads = await reader.read(
    cls,
    claims.map(({ job }) => job.id),
  );
  expect(payloads.map((bytes) => bytes?.length)).toEqual(Array.from({ length: 20 }, () => 3_000));
  await reader.close();
  await queue.close();
});

/** A TCP relay to Redis that can swallow what the server answers and then break the connections. */
async function lossyWire(target: number): Promise<{
  readonly port: number;
  readonly loseReplies: () => void;
  readonly restore: () => void;
  readonly close: () => void;
}> {
  let isLosing = false;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    sockets.add(client).add(upstream);
    client.on('data', (bytes) => upstream.write(bytes));
    upstream.on('data', (bytes) => {
      if (!isLosing) client.write(bytes);
      else client.destroy();
    });
    for (const socket of [client, upstream]) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    loseReplies: () => {
      isLosing = true;
    },
    restore: () => {
      isLosing = false;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test('large payloads in pieces are stored as they were when they were given', async () => {
  const prefix = `t${randomBytes(4).toString('hex')}`;
  const connection = { url: redis.url, prefix };
  const queue = createBullmqQueue({ ...connection, clock: systemClock, processId: 'p1' });
  const cls = classOf('m', '1');
  await waitFor(async () => (await queue.ping()) !== undefined, { timeoutMs: 5_000 });
  const given = Array.from({ length: 20 }, (_, i) => ({
    pieces: [Buffer.alloc(100, i), Buffer.alloc(i * 50_000, i + 100), Buffer.alloc(2_000, i)],
    job: aJob(cls, { payloadBytes: 2_100 + i * 50_000 }),
  }));
  const wanted = given.map(({ pieces }) => Buffer.concat(pieces));
  await Promise.all(
    given.map(async ({ job, pieces }) => {
      const enqueued = await queue.enqueue(job, pieces, { ...roomy, bytesMax: 1e9, depthMax: 20 });
      expect(enqueued.ok).toBe(true);
      for (const piece of pieces) piece.fill(0xff);
    }),
  );
  const reader = openPayloadReader(connection);
  const stored = await reader.read(
    cls,
    given.map(({ job }) => job.id),
  );
  const isStored = wanted.map((bytes, i) => bytes.equals(stored[i] ?? new Uint8Array()));
  expect(isStored).toEqual(wanted.map(() => true));
  await reader.close();
  await queue.close();
});
