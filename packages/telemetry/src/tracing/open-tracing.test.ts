/** Nothing of OpenTelemetry is imported here: what is loaded was loaded by what is tested. */
import { createRequire } from 'node:module';
import { systemClock } from '@inferry/runtime';
import { expect, test } from 'vitest';
import { createLogger } from '../logger.ts';
import { openTracing, type TracingOptions } from './open-tracing.ts';

const options: Omit<TracingOptions, 'env'> = {
  role: 'gateway',
  version: '1',
  instanceId: 'g1',
  system: 'memory',
  clock: systemClock,
  logger: createLogger({ role: 'gateway', level: 'silent' }),
};
const { cache } = createRequire(import.meta.url);
const loaded = (): readonly string[] =>
  Object.keys(cache).filter((path) => path.includes('@opentelemetry/sdk-trace'));

test('tracing is no object, and no code of it is loaded, until an endpoint is set', async () => {
  expect(await openTracing({ ...options, env: {} })).toEqual({ ok: true, value: undefined });
  const disabled = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector', OTEL_SDK_DISABLED: 'true' };
  expect(await openTracing({ ...options, env: disabled })).toEqual({ ok: true, value: undefined });
  const wrong = { OTEL_EXPORTER_OTLP_ENDPOINT: 'no address' };
  expect(await openTracing({ ...options, env: wrong })).toMatchObject({ ok: false });
  expect(loaded()).toEqual([]);
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector' };
  const opened = await openTracing({ ...options, env });
  expect(opened.ok && opened.value).toBeDefined();
  expect(loaded()).not.toEqual([]);
  if (opened.ok) await opened.value?.close();
});
