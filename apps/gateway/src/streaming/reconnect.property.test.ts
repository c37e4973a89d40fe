import { classOf } from '@inferry/contracts';
import type { Claim } from '@inferry/queue';
import { EventReader, type ReadEvent } from '@inferry/testkit';
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { claimRequest, succeeded, testGateway } from '../gateway-fixture.test.ts';

const cls = classOf('iris', '1');
const submit = {
  method: 'POST',
  body: '{"input":{"length":1,"width":2}}',
  headers: { 'Content-Type': 'application/json' },
};

type Step = 'tell' | 'read' | 'break' | 'restart';

test('a caller that is cut off at any point, and comes back, has each part of the answer once', async () => {
  const gateway = testGateway();
  const { queue } = gateway;
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.constant<Step>('tell') },
    { weight: 4, arbitrary: fc.constant<Step>('read') },
    { weight: 2, arbitrary: fc.constant<Step>('break') },
    { weight: 1, arbitrary: fc.constant<Step>('restart') },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 24 }), async (steps) => {
      const { id } = (await (await gateway.request('/v1/models/iris/jobs', submit)).json()) as {
        id: string;
      };
      const take = async (): Promise<Claim> => (await queue.claim(cls, claimRequest)).claims[0]!;
      let claim = await take();
      let told: string[] = [];
      const seen: unknown[] = [];
      let lastId: string | undefined;
      let reader: EventReader | undefined;
      const open = async (): Promise<EventReader> => {
        const headers = lastId === undefined ? {} : { 'Last-Event-ID': lastId };
        return new EventReader(await gateway.request(`/v1/jobs/${id}/events`, { headers }));
      };
      const note = ({ data, event, id: eventId }: ReadEvent): void => {
        lastId = eventId ?? lastId;
        if (event === 'reset') seen.length = 0;
        if (event === 'output') seen.push(data['output']);
      };
      for (const what of steps) {
        if (what === 'tell') {
          told.push(`${claim.fence}/${told.length}`);
          const output = { form: 'rows', rows: [told.at(-1) ?? ''] } as const;
          await queue.partials.emit(cls, claim, told.length, output);
        } else if (what === 'read' && told.length > 0 && seen.at(-1) !== told.at(-1)) {
          // There is something to read: at least one more event comes.
          reader ??= await open();
          const next = await reader.next();
          if (next !== undefined) note(next);
        } else if (what === 'break') {
          await reader?.cancel();
          reader = undefined;
        } else if (what === 'restart') {
          await queue.giveBack(cls, [claim], false);
          claim = await take();
          told = [];
        }
      }
      await queue.settle(cls, [{ claim, outcome: succeeded }]);
      reader ??= await open();
      for (const event of await reader.all()) note(event);
      expect(seen).toEqual(told);
      expect(lastId).toBe('done');
    }),
    { numRuns: 60 },
  );
  await gateway.close();
});
