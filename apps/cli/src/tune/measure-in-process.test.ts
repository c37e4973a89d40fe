import { VirtualClock } from '@inferry/runtime';
import { expect, test } from 'vitest';
import { exactPoint } from './choose.fixture.ts';
import { measureInProcess } from './measure-in-process.ts';
import type { MeasureReport, MeasureRequest } from './messages.ts';

const request: MeasureRequest = {
  manifest: { name: 'm' } as MeasureRequest['manifest'],
  device: { kind: 'cpu', index: 0 },
  setup: { threads: 1, instances: 2 },
  goal: { latencyTargetMs: null, rowsMax: 8, overheadMs: 2 },
  msMax: 5_000,
  prepareIn: 'auto',
  jpegDecoder: 'auto',
  payloads: [],
};

/** A process that answers its request with these reports, and then does `last`. */
function measure(clock: VirtualClock, reports: readonly MeasureReport[], last = '') {
  const send = reports.reduceRight(
    (then, report) => `process.send(${JSON.stringify(report)}, () => { ${then} });`,
    last,
  );
  let onPoint = (): void => undefined;
  const measured = new Promise<void>((resolve) => (onPoint = resolve));
  const argv = ['-e', `process.once('message', () => { ${send} });`];
  const result = measureInProcess(request, { argv, env: {}, clock, onPoint });
  return { result, measured };
}

const loaded: MeasureReport = { kind: 'loaded', preparedIn: 'compute' };
const point: MeasureReport = { kind: 'point', point: exactPoint(2, 10), peakBytes: 7 };

test('a model that is never loaded is given up', async () => {
  const clock = new VirtualClock();
  const { result } = measure(clock, []);
  await clock.advance(600_000);
  expect(await result).toEqual({ ok: false, error: 'the model was not loaded within 600 s' });
});

test('a batch that never ends is given up, and what was measured before is kept', async () => {
  const clock = new VirtualClock();
  const { measured, result } = measure(clock, [loaded, point]);
  await clock.advance(500_000);
  await measured;
  await clock.advance(65_000);
  expect(await result).toEqual({
    ok: true,
    value: {
      threads: 1,
      instances: 2,
      points: [exactPoint(2, 10)],
      end: { kind: 'failed', rows: 4, reason: 'a batch did not end in time' },
      preparedIn: 'compute',
      peakBytes: 7,
    },
  });
});

test('a process that dies tells how, and one that was refused its model tells why', async () => {
  const died = measure(new VirtualClock(), [loaded, point], 'process.exit(3)');
  expect(await died.result).toMatchObject({
    value: { end: { kind: 'failed', reason: 'the process ended with 3' } },
  });
  const refused: MeasureReport = { kind: 'unloadable', reason: 'no such file' };
  const unloadable = measure(new VirtualClock(), [refused], 'process.disconnect()');
  expect(await unloadable.result).toEqual({ ok: false, error: 'no such file' });
});
