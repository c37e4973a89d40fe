import type { ClassId, Outcome } from '@inferry/contracts';
import type { Claim } from '@inferry/queue';
import { expect, test } from 'vitest';
import { Leases, type LeasesDeps } from './leases.ts';
import type { WorkerTelemetry } from './telemetry.ts';

const cls = 'm@1' as ClassId;

function claim(id: string): Claim {
  return { job: { id, class: cls }, fence: `fence of ${id}` } as Claim;
}

/** Leases on a queue that knows nothing of any claim, and how many were told as not renewed. */
function leases(whileAsked: () => void = () => undefined): { leases: Leases; told: number[] } {
  const told: number[] = [];
  const telemetry = {
    inFlight: () => undefined,
    leasesNotRenewed: (_: string, jobs: number) => void told.push(jobs),
  } as unknown as WorkerTelemetry;
  const queue: LeasesDeps['queue'] = {
    renew: async (_worker, _class, claims) => {
      whileAsked();
      return claims;
    },
  };
  const deps = { queue, workerId: 'w', telemetry } as unknown as LeasesDeps;
  return { leases: new Leases(deps), told };
}

test('a job that is settled or given back while leases are renewed was not lost', async () => {
  const { leases: held, told } = leases(() => {
    if (settled !== undefined) settled.outcome = {} as Outcome;
    if (returned !== undefined) returned.isGoingBack = true;
  });
  const [settled, returned, running] = held.hold(cls, ['a', 'b', 'c'].map(claim), 'full');
  await held.renew();
  expect(told).toEqual([1]);
  expect([settled?.isLost, returned?.isLost, running?.isLost]).toEqual([false, false, true]);
});

test('a job that has ended and could not be settled since the last renewal is lost', async () => {
  const { leases: held, told } = leases();
  const [ended] = held.hold(cls, [claim('a')], 'full');
  if (ended !== undefined) ended.outcome = {} as Outcome;
  await held.renew();
  expect([ended?.isLost, told]).toEqual([false, []]);
  await held.renew();
  expect([ended?.isLost, told]).toEqual([true, [1]]);
});

test('a lost job is told once, however often leases are renewed until its run is over', async () => {
  const { leases: held, told } = leases();
  held.hold(cls, [claim('a')], 'full');
  await held.renew();
  await held.renew();
  expect(told).toEqual([1]);
});
