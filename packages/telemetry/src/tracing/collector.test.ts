/** Collectors that do not take what they are sent. */
import { VirtualClock } from '@inferry/runtime';
import { ExportResultCode } from '@opentelemetry/core';
import type { SpanExporter } from '@opentelemetry/sdk-trace-base';
import { expect, test } from 'vitest';
import { claim, open, settle } from './tracing.fixture.ts';

test('a collector that is away is told once, and once more when it is back; nobody waits for it', async () => {
  let isAway = true;
  const away: SpanExporter = {
    export: (_, done) =>
      isAway
        ? done({ code: ExportResultCode.FAILED, error: new Error('connect ECONNREFUSED') })
        : done({ code: ExportResultCode.SUCCESS }),
    shutdown: () => Promise.resolve(),
  };
  const tracing = await open({}, { exporter: away });
  const exportedBatches = async (count: number): Promise<void> => {
    // As many spans as make the queue send at once.
    for (let i = 0; i < count * 512; i += 1) settle(claim(tracing));
    await new Promise((resolve) => setImmediate(resolve));
  };
  await exportedBatches(4);
  const warnings = () => tracing.logged.filter((line) => line.includes('"level":"warn"'));
  expect(warnings()).toHaveLength(1);
  expect(warnings()[0]).toContain('ECONNREFUSED');
  expect(warnings()[0]).toContain('collector:4318');
  isAway = false;
  await exportedBatches(2);
  await tracing.close();
  expect(warnings()).toHaveLength(1);
  expect(tracing.logged.at(-1)).toContain('spans are sent again');
});

test('a collector that never answers holds up the end for 2 s at most', async () => {
  const clock = new VirtualClock();
  const silent: SpanExporter = {
    export: () => undefined,
    shutdown: () => new Promise(() => undefined),
  };
  const tracing = await open({}, { clock, exporter: silent });
  settle(claim(tracing));
  let hasClosed = false;
  const closing = tracing.close().then(() => (hasClosed = true));
  await clock.advance(1_999);
  expect(hasClosed).toBe(false);
  await clock.advance(1);
  await closing;
});
