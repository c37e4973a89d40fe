/** What estimates promise, for every line and all servers. */
import type { LineView, ServerView, ServiceProfile } from '@inferry/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { estimate, serviceMs } from './estimate.ts';

/** Evenly spread, which fc.double is not: half of its numbers are next to nothing. */
function upTo(max: number): fc.Arbitrary<number> {
  return fc.nat(1_000_000).map((part) => (part / 1_000_000) * max);
}

/** Of runs with a fixed time and a time a row. */
const profiles: fc.Arbitrary<ServiceProfile> = fc
  .record({
    rowsMax: fc.integer({ min: 1, max: 32 }),
    fixedMs: upTo(100).map((ms) => ms + 0.01),
    rowMs: upTo(100),
    tailFactor: upTo(2).map((more) => 1 + more),
  })
  .map(({ fixedMs, rowMs, rowsMax, tailFactor }) => ({
    rowsMax,
    points: [1, rowsMax].map((rows) => ({ rows, ms: fixedMs + rowMs * rows })),
    tailFactor,
    rowWorkMs: 1,
  }));

const rowEvery = fc.option(fc.oneof(upTo(20), upTo(1_000)).map((ms) => ms + 0.1));

/** `servers` equal ones, each free within one run. */
const alike = fc
  .record({
    profile: profiles,
    phases: fc.array(upTo(1), { minLength: 1, maxLength: 8 }),
    rowEveryMs: rowEvery,
    rowsShare: upTo(1),
  })
  .map(({ phases, profile, rowEveryMs, rowsShare }) => {
    const servers: ServerView[] = phases.map((phase) => ({
      freeInMs: phase * runMsOf(profile),
      profile,
    }));
    return { servers, profile, rowEveryMs, rows: Math.ceil(rowsShare * profile.rowsMax) || 1 };
  });

const anyLine: fc.Arbitrary<LineView> = fc.record({
  rowsAhead: fc.nat(50_000),
  rows: fc.integer({ min: 1, max: 40 }),
  rowEveryMs: rowEvery,
  servers: fc.array(
    fc.record({ freeInMs: fc.oneof(fc.constantFrom(-1_000, 0), upTo(100_000)), profile: profiles }),
    { minLength: 1, maxLength: 40 },
  ),
});

function runMsOf(profile: ServiceProfile): number {
  return serviceMs(profile, profile.rowsMax);
}

function estimated(line: LineView): { readonly readyInMs: number; readonly startBoundMs: number } {
  const found = estimate(line);
  expect(found).not.toBeNull();
  return found!;
}

describe('estimate', () => {
  test('estimates are finite, and no shorter than a run of the job alone', () => {
    fc.assert(
      fc.property(anyLine, (line) => {
        const { readyInMs, startBoundMs } = estimated(line);
        const alone = line.servers.map(({ profile }) => serviceMs(profile, 1));
        expect(Number.isFinite(readyInMs)).toBe(true);
        expect(readyInMs).toBeGreaterThanOrEqual(Math.min(...alone));
        expect(Number.isFinite(startBoundMs)).toBe(true);
      }),
    );
  });

  test('the bound on the start is that of G2, and never falls for those further back', () => {
    fc.assert(
      fc.property(anyLine, fc.nat(500), (line, further) => {
        const { rows, rowsAhead, servers } = line;
        const rowsTogether = servers.reduce((sum, { profile }) => sum + profile.rowsMax, 0);
        const longest = servers.map(({ profile }) => profile.tailFactor * runMsOf(profile));
        const { startBoundMs } = estimated(line);
        const batches = Math.ceil((rowsAhead + rows) / rowsTogether);
        expect(startBoundMs).toBeCloseTo(batches * Math.max(...longest), 6);
        const behind = estimated({ ...line, rowsAhead: rowsAhead + further });
        expect(behind.startBoundMs).toBeGreaterThanOrEqual(startBoundMs);
      }),
    );
  });

  test('further back is never earlier, where a batch takes the same time whatever its size', () => {
    fc.assert(
      fc.property(alike, fc.nat(600), fc.nat(100), (servers, rowsAhead, further) => {
        const ms = runMsOf(servers.profile);
        const flat = { ...servers.profile, points: [{ rows: servers.profile.rowsMax, ms }] };
        const line = {
          ...servers,
          servers: servers.servers.map(({ freeInMs }) => ({ freeInMs, profile: flat })),
        };
        const { readyInMs } = estimated({ ...line, rowsAhead });
        const behind = estimated({ ...line, rowsAhead: rowsAhead + further });
        expect(behind.readyInMs).toBeGreaterThanOrEqual(readyInMs - 1e-6);
      }),
    );
  });

  test('further back is earlier by no more than a full batch is slower than a job alone', () => {
    fc.assert(
      fc.property(alike, fc.nat(600), fc.nat(100), (line, rowsAhead, further) => {
        const { profile, rows } = line;
        const { readyInMs } = estimated({ ...line, rowsAhead });
        const behind = estimated({ ...line, rowsAhead: rowsAhead + further });
        const spared = profile.tailFactor * (runMsOf(profile) - serviceMs(profile, rows));
        expect(behind.readyInMs).toBeGreaterThanOrEqual(readyInMs - spared - 1e-6);
      }),
    );
  });

  test('where the line becomes a fluid, estimates rise, by a run and a half and the tail at most', () => {
    fc.assert(
      fc.property(alike, (line) => {
        const { profile, servers } = line;
        const rowsAhead = 2 * servers.length * profile.rowsMax;
        const list = estimated({ ...line, rowsAhead: rowsAhead - 1 }).readyInMs;
        const fluid = estimated({ ...line, rowsAhead }).readyInMs;
        expect(fluid).toBeGreaterThanOrEqual(list - 1e-6);
        expect(fluid - list).toBeLessThanOrEqual(
          (1.5 + profile.tailFactor) * runMsOf(profile) + 1e-6,
        );
      }),
    );
  });

  test('a further server of the same kind makes nobody later', () => {
    const phase = upTo(1);
    fc.assert(
      fc.property(alike, fc.nat(600), phase, (line, rowsAhead, phase) => {
        const { profile, servers } = line;
        const further = { freeInMs: phase * runMsOf(profile), profile };
        const { readyInMs, startBoundMs } = estimated({ ...line, rowsAhead });
        const helped = estimated({ ...line, rowsAhead, servers: [...servers, further] });
        expect(helped.readyInMs).toBeLessThanOrEqual(readyInMs + 1e-6);
        expect(helped.startBoundMs).toBeLessThanOrEqual(startBoundMs);
      }),
    );
  });
});
