import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Demand, desiredWorkers, type ScalePolicy } from './desired-workers.ts';

const amount = fc.oneof(
  fc.constant(0),
  fc.double({ min: 1e-9, max: 1e6, noNaN: true }),
  fc.constant(Infinity),
);
const demands: fc.Arbitrary<Demand> = fc.record({ backlogSeconds: amount, loadWorkers: amount });
const policies: fc.Arbitrary<ScalePolicy> = fc
  .record({
    min: fc.nat(50),
    more: fc.nat(200),
    drainTargetSeconds: fc.double({ min: 0.1, max: 3_600, noNaN: true }),
    utilization: fc.double({ min: 0.01, max: 1, noNaN: true }),
  })
  .map(({ more, ...policy }) => ({ ...policy, max: policy.min + more }));
const unbounded = { min: 0, max: Number.MAX_SAFE_INTEGER };

describe('desiredWorkers', () => {
  test('is a whole number within the bounds', () => {
    fc.assert(
      fc.property(demands, policies, (demand, policy) => {
        const wanted = desiredWorkers(demand, policy);
        expect(Number.isInteger(wanted)).toBe(true);
        expect(wanted).toBeGreaterThanOrEqual(policy.min);
        expect(wanted).toBeLessThanOrEqual(policy.max);
      }),
    );
  });

  test('never falls when there is more to do', () => {
    fc.assert(
      fc.property(demands, policies, amount, amount, (demand, policy, backlog, load) => {
        const { backlogSeconds, loadWorkers } = demand;
        const more = {
          backlogSeconds: backlogSeconds + backlog,
          loadWorkers: loadWorkers + load,
        };
        expect(desiredWorkers(more, policy)).toBeGreaterThanOrEqual(desiredWorkers(demand, policy));
      }),
    );
  });

  test('never falls when less time is given, or workers are to be less busy', () => {
    const share = fc.double({ min: 0.01, max: 1, noNaN: true });
    fc.assert(
      fc.property(demands, policies, share, share, (demand, policy, ofTime, ofBusy) => {
        const stricter = {
          ...policy,
          drainTargetSeconds: (policy.drainTargetSeconds ?? 30) * ofTime,
          utilization: (policy.utilization ?? 0.7) * ofBusy,
        };
        expect(desiredWorkers(demand, stricter)).toBeGreaterThanOrEqual(
          desiredWorkers(demand, policy),
        );
      }),
    );
  });

  test('is at least 1 while anything waits or arrives and one is allowed, otherwise the fewest allowed', () => {
    fc.assert(
      fc.property(demands, policies, (demand, policy) => {
        const hasWork = demand.backlogSeconds > 0 || demand.loadWorkers > 0;
        if (hasWork && policy.max >= 1) {
          expect(desiredWorkers(demand, policy)).toBeGreaterThanOrEqual(1);
        }
        if (!hasWork) expect(desiredWorkers(demand, policy)).toBe(policy.min);
      }),
    );
  });

  test('so many workers do the work in time, and one fewer would not', () => {
    const finite = fc.double({ min: 0.01, max: 1e5, noNaN: true });
    fc.assert(
      fc.property(finite, finite, policies, (backlogSeconds, loadWorkers, policy) => {
        const { drainTargetSeconds = 30, utilization = 0.7 } = policy;
        const wanted = desiredWorkers(
          { backlogSeconds, loadWorkers },
          { drainTargetSeconds, utilization, ...unbounded },
        );
        const drainSeconds = (workers: number): number => backlogSeconds / workers;
        const busy = (workers: number): number => loadWorkers / workers;
        // The last bit of a division may fall on either side of a whole number.
        const slack = 1 + 1e-12;
        expect(drainSeconds(wanted)).toBeLessThanOrEqual(drainTargetSeconds * slack);
        expect(busy(wanted)).toBeLessThanOrEqual(utilization * slack);
        const isEnough =
          drainSeconds(wanted - 1) * slack < drainTargetSeconds &&
          busy(wanted - 1) * slack < utilization;
        expect(wanted > 1 && isEnough).toBe(false);
      }),
    );
  });
});
