/** The preparation of slots, but that a payload of one byte breaks its thread. For tests only. */
import type { OpenThreadPreparation } from '@inferry/inference';
import { invariant } from '@inferry/runtime';
import { openThreadPreparation as openWhole, type SlotRequest } from './slot-thread.ts';

export const openThreadPreparation: OpenThreadPreparation = async (data) => {
  const whole = await openWhole(data);
  return {
    prepare(request) {
      const { items } = request as SlotRequest;
      invariant(!items.some(({ payload }) => payload?.length === 1), 'no payload is of one byte');
      return whole.prepare(request);
    },
    close: () => whole.close(),
  };
};
