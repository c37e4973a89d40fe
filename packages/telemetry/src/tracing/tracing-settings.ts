/**
 * Whether and how to trace, from the variables that OpenTelemetry defines. The SDK would replace what it
 * cannot read by a default without a word, so what matters is checked here; the rest (headers, timeouts,
 * limits, other `OTEL_BSP_*`, resource attributes) it reads by itself.
 */
import { err, ok, type Result } from '@inferry/runtime';

const tracesSamplers = [
  ...(['always_on', 'always_off', 'traceidratio'] as const),
  ...(['parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'] as const),
];
const protocols = ['http/protobuf', 'http/json'] as const;

export interface TracingSettings {
  /** For log lines: without credentials. */
  readonly host: string;
  readonly protocol: (typeof protocols)[number];
  readonly sampler: (typeof tracesSamplers)[number];
  /** Traces begun here that are recorded, of 1; for the samplers with a ratio. */
  readonly ratio: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Recorded, of the traces that begin here, where nothing else is set. */
const ratioDefault = 0.01;

/** For help texts: what most who trace will set. */
export const tracingVariables = [
  {
    name: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    placeholder: 'URL',
    help: 'Collector that takes OTLP over HTTP, such as http://127.0.0.1:4318. Unset: no tracing.',
  },
  {
    name: 'OTEL_EXPORTER_OTLP_PROTOCOL',
    placeholder: protocols.join('|'),
    help: `How spans are sent. Default: ${protocols[0]}.`,
  },
  {
    name: 'OTEL_TRACES_SAMPLER',
    placeholder: 'SAMPLER',
    help: `${tracesSamplers.join(', ')}. Default: parentbased_traceidratio, which follows callers that send a traceparent.`,
  },
  {
    name: 'OTEL_TRACES_SAMPLER_ARG',
    placeholder: 'RATIO',
    help: `Share of traces that is recorded, 0 to 1. Default: ${ratioDefault}; 1 where a sampler is named.`,
  },
] as const;

/** Undefined: off, which is the default. The error names the variable and what it may be. */
export function tracingSettings(env: Environment): Result<TracingSettings | undefined, string> {
  const read = (...names: readonly string[]) => {
    const name = names.find((one) => (env[one] ?? '').trim() !== '') ?? names[0] ?? '';
    return { name, text: env[name]?.trim() ?? '' };
  };
  const endpoint = read('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT');
  const exporter = read('OTEL_TRACES_EXPORTER');
  const isDisabled = read('OTEL_SDK_DISABLED').text.toLowerCase() === 'true';
  if (endpoint.text === '' || isDisabled || exporter.text === 'none') return ok(undefined);
  if (exporter.text !== '' && exporter.text !== 'otlp') {
    return refused(exporter, 'must be otlp or none');
  }
  const url = URL.canParse(endpoint.text) ? new URL(endpoint.text) : undefined;
  if (url === undefined || !/^https?:$/u.test(url.protocol)) {
    // Not shown: it may hold a password.
    return err(`${endpoint.name} must be an http:// or https:// address`);
  }
  const protocol = wordOf(
    read('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'),
    protocols,
    'http/protobuf',
  );
  if (!protocol.ok) return protocol;
  const sampler = wordOf(read('OTEL_TRACES_SAMPLER'), tracesSamplers, 'parentbased_traceidratio');
  if (!sampler.ok) return sampler;
  const argument = read('OTEL_TRACES_SAMPLER_ARG');
  // A sampler that is named but not told its ratio records all, as the variable is defined.
  const fallback = read('OTEL_TRACES_SAMPLER').text === '' ? ratioDefault : 1;
  const ratio = argument.text === '' ? fallback : Number(argument.text);
  if (!(ratio >= 0 && ratio <= 1)) return refused(argument, 'must be a number from 0 to 1');
  for (const size of [read('OTEL_BSP_MAX_QUEUE_SIZE'), read('OTEL_BSP_MAX_EXPORT_BATCH_SIZE')]) {
    // With batches of 0 the SDK never comes to an end of sending, and holds up the main thread.
    const isSize = size.text === '' || /^[1-9]\d{0,8}$/u.test(size.text);
    if (!isSize) return refused(size, 'must be a whole number from 1');
  }
  return ok({ host: url.host, protocol: protocol.value, sampler: sampler.value, ratio });
}

interface Variable {
  readonly name: string;
  readonly text: string;
}

function wordOf<const Word extends string>(
  variable: Variable,
  words: readonly Word[],
  fallback: Word,
): Result<Word, string> {
  if (variable.text === '') return ok(fallback);
  const word = words.find((one) => one === variable.text);
  return word === undefined ? refused(variable, `must be one of ${words.join(', ')}`) : ok(word);
}

function refused({ name, text }: Variable, wanted: string): Result<never, string> {
  return err(`${name} ${wanted}, not ${JSON.stringify(text.slice(0, 80))}`);
}
