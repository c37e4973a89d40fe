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
    for (let batch = 0; batch < count; batch += 1) {
      // Two spans each: as many as the queue sends at once.
      for (let i = 0; i < 256; i += 1) settle(claim(tracing));
      await new Promise((resolve) => setImmediate(resolve));
    }
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

test('spans for which there is no room are dropped, and that is told once', async () => {
  const exports: (() => void)[] = [];
  const slow: SpanExporter = {
    export: (_, done) => void exports.push(() => done({ code: ExportResultCode.SUCCESS })),
    shutdown: () => Promise.resolve(),
  };
  const tracing = await open({}, { exporter: slow });
  const dropSome = async (): Promise<void> => {
    // What is being sent, what waits, and more.
    for (let i = 0; i < 2_000; i += 1) settle(claim(tracing));
    while (exports.length > 0) {
      exports.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    settle(claim(tracing));
  };
  await dropSome();
  await dropSome();
  expect(tracing.logged.filter((line) => line.includes('Dropped'))).toHaveLength(1);
  const closing = tracing.close();
  await new Promise((resolve) => setImmediate(resolve));
  for (const answer of exports) answer();
  await closing;
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
