import { defaultLimits } from '@inferry/contracts';
import { expect, test } from 'vitest';

import { admit } from './admit.ts';

const total = defaultLimits.queueDepthTotalMax;

test('work enters while the server is not draining and the queues have room', () => {
  expect(admit({ isDraining: false, waitingTotal: total - 1 }, defaultLimits).ok).toBe(true);
});

test.each([
  [{ isDraining: true, waitingTotal: 0 }, 'draining'],
  [{ isDraining: false, waitingTotal: total }, 'queue_full'],
])('work is refused when %j', (load, code) => {
  expect(admit(load, defaultLimits)).toMatchObject({
    ok: false,
    error: { code, retryAfterMs: 1000 },
  });
});
