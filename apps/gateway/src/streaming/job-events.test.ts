import { VirtualClock } from '@inferry/runtime';
import { EventReader } from '@inferry/testkit';
import { expect, test } from 'vitest';

import { testGateway } from '../gateway-fixture.test.ts';

test('the place in the line is told with each look, also of a job that came a little after the last', async () => {
  const clock = new VirtualClock();
  const fixture = testGateway({}, { clock });
  const submit = async (): Promise<EventReader> => {
    const answer = await fixture.request('/v1/models/iris/jobs', {
      method: 'POST',
      body: '{"input":{"length":1,"width":2}}',
      headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream' },
    });
    const reader = new EventReader(answer);
    expect(await reader.next()).toMatchObject({ event: 'state' });
    return reader;
  };
  // The looks are at all jobs that are followed, once a second from now on.
  const first = await submit();
  await clock.advance(3);
  const reader = await submit();
  const told: number[] = [];
  const beganAtMs = clock.nowMs();
  const reading = (async (): Promise<void> => {
    while ((await reader.next())?.event === 'queue') told.push(clock.nowMs() - beganAtMs);
  })();
  for (let second = 1; second <= 3; second += 1) await clock.advance(1_000);
  await Promise.all([first.cancel(), reader.cancel(), reading]);
  await fixture.close();
  expect(told).toEqual([997, 1_997, 2_997]);
});
