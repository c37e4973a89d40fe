/** A worker in the process of a test, which claims and tells what the test says, where no model does so. */
import type { ClassId, Outcome } from '@inferry/contracts';
import { type Claim, createBullmqQueue, type JobQueue } from '@inferry/queue';
import { systemClock } from '@inferry/runtime';
import { waitFor } from '@inferry/testkit';

export interface HandWorker {
  readonly queue: JobQueue;
  /** The next job of the class, once there is one. */
  claim(): Promise<Claim>;
  /** Tells a text as the n-th part of the answer. */
  tell(claim: Claim, number: number, text: string): Promise<void>;
  /** Settles the job with a text. */
  settle(claim: Claim, text: string): Promise<void>;
  close(): Promise<void>;
}

export async function openHandWorker(url: string, cls: string): Promise<HandWorker> {
  const classId = cls as ClassId;
  const processId = 'by-hand';
  const queue = createBullmqQueue({ url, prefix: 'inferry', clock: systemClock, processId });
  await waitFor(async () => (await queue.ping()) !== undefined, { timeoutMs: 5_000 });
  const request = {
    workerId: processId,
    rowsMax: 1,
    rowsMin: 1,
    takeSuspect: true,
    freeInMs: [0],
    agingMs: 60_000,
  };
  return {
    queue,
    async claim() {
      let claim: Claim | undefined;
      await waitFor(async () => {
        [claim] = (await queue.claim(classId, request)).claims;
        return claim !== undefined;
      });
      if (claim === undefined) throw new Error(`no job of ${cls}`);
      return claim;
    },
    async tell(claim, number, text) {
      const told = await queue.partials.emit(classId, claim, number, textOutput(text));
      if (!told.ok || told.value === 'lost') throw new Error(`not told: ${JSON.stringify(told)}`);
    },
    async settle(claim, text) {
      await queue.settle(classId, [{ claim, outcome: outcome(text) }]);
    },
    close: () => queue.close(),
  };
}

function textOutput(text: string): NonNullable<Outcome['output']> {
  return { form: 'rows', rows: [text] };
}

function outcome(text: string): Outcome {
  return {
    status: 'succeeded',
    output: textOutput(text),
    error: null,
    batchRows: 1,
    timings: null,
    readyAtMs: null,
    overtakenBy: 0,
  };
}
