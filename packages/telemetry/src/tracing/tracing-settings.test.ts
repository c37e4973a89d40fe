import { expect, test } from 'vitest';
import { tracingSettings } from './tracing-settings.ts';

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:secret@collector:4318' };

test.each([
  ['nothing is set', {}],
  ['the endpoint is blank', { OTEL_EXPORTER_OTLP_ENDPOINT: '  ' }],
  ['the SDK is disabled', { ...endpoint, OTEL_SDK_DISABLED: 'TRUE' }],
  ['there is no exporter', { ...endpoint, OTEL_TRACES_EXPORTER: 'none' }],
  ['only a sampler is set', { OTEL_TRACES_SAMPLER: 'always_on' }],
])('tracing is off where %s', (_, env) => {
  expect(tracingSettings(env)).toEqual({ ok: true, value: undefined });
});

test('an endpoint turns it on: one trace in a hundred, decided by the caller where it says', () => {
  expect(tracingSettings(endpoint)).toEqual({
    ok: true,
    value: {
      host: 'collector:4318',
      protocol: 'http/protobuf',
      sampler: 'parentbased_traceidratio',
      ratio: 0.01,
    },
  });
});

test.each([
  [{ OTEL_TRACES_SAMPLER_ARG: '0.25' }, { sampler: 'parentbased_traceidratio', ratio: 0.25 }],
  [{ OTEL_TRACES_SAMPLER: 'traceidratio' }, { sampler: 'traceidratio', ratio: 1 }],
  [
    { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' },
    { sampler: 'traceidratio', ratio: 0 },
  ],
  [{ OTEL_TRACES_SAMPLER: 'always_on' }, { sampler: 'always_on' }],
  [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }, { protocol: 'http/json' }],
  [
    {
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf',
    },
    { protocol: 'http/protobuf' },
  ],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://other/v1/traces' }, { host: 'other' }],
])('%j is followed', (env, wanted) => {
  expect(tracingSettings({ ...endpoint, ...env })).toMatchObject({ ok: true, value: wanted });
});

test.each([
  [{ OTEL_TRACES_SAMPLER: 'jaeger_remote' }, /^OTEL_TRACES_SAMPLER must be one of always_on, .*r/u],
  [{ OTEL_TRACES_SAMPLER_ARG: '1.5' }, /^OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1/u],
  [{ OTEL_TRACES_SAMPLER_ARG: 'half' }, /^OTEL_TRACES_SAMPLER_ARG must be a number/u],
  [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, /^OTEL_EXPORTER_OTLP_PROTOCOL .*http\/protobuf/u],
  [{ OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '0' }, /^OTEL_BSP_MAX_EXPORT_BATCH_SIZE .* number from 1/u],
  [{ OTEL_BSP_MAX_QUEUE_SIZE: '0.5' }, /^OTEL_BSP_MAX_QUEUE_SIZE must be a whole number from 1/u],
  [{ OTEL_TRACES_EXPORTER: 'zipkin' }, /^OTEL_TRACES_EXPORTER must be otlp or none/u],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }, /^OTEL_EXPORTER_OTLP_ENDPOINT must be an/u],
])('%j is refused, by its name', (env, wanted) => {
  expect(tracingSettings({ ...endpoint, ...env })).toMatchObject({
    ok: false,
    error: expect.stringMatching(wanted),
  });
});

test('an endpoint that cannot be read is not repeated: it may hold a password', () => {
  const refused = tracingSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: 'user:secret@collector' });
  expect(refused.ok).toBe(false);
  expect(JSON.stringify(refused)).not.toContain('secret');
});
