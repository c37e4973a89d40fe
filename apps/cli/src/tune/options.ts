/** What `inferry tune` was asked to do, read from its flags; every problem is told, not the first alone. */
import { defaultLimits } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import type { Invocation } from '../arguments.ts';
import type { Environment } from '../config.ts';
import { parseModelReference } from '../model-reference.ts';
import { settings, type SettingValue } from '../settings.ts';

export interface TuneOptions {
  readonly model: string;
  /** Null: the latest. */
  readonly version: string | null;
  readonly modelsDir: string;
  /** Null: what the model has, if anything. */
  readonly latencyTargetMs: number | null;
  /** Files and folders. */
  readonly inputs: readonly string[];
  readonly device: { readonly kind: 'cpu' | 'cuda'; readonly index: number };
  /** As the workers of this machine are set. */
  readonly prepareIn: SettingValue<'prepareIn'>;
  readonly jpegDecoder: SettingValue<'jpegDecoder'>;
  /** Null: a bound that few models reach. */
  readonly rowsMax: number | null;
  readonly msMax: number;
  readonly asJson: boolean;
  readonly write: boolean;
  /** Where the measured curve is stored when the settings are written. */
  readonly redis: { readonly url: string; readonly prefix: string } | null;
}

const msPerSecond = 1_000;

/** The error has one line for each problem. */
export function parseTuneOptions(
  { flags, lists, operands }: Pick<Invocation, 'flags' | 'lists' | 'operands'>,
  env: Environment,
): Result<TuneOptions, readonly string[]> {
  const problems: string[] = [];
  const read = <T>(
    name: string,
    text: string | undefined,
    parse: (text: string) => Result<T, string>,
  ): T | null => {
    if (text === undefined || text === '') return null;
    const value = parse(text);
    if (value.ok) return value.value;
    problems.push(`${name} ${value.error}`);
    return null;
  };
  const reference = parseModelReference(operands[0] ?? '');
  if (reference === undefined) {
    problems.push(`MODEL must be a name, or name@version; "${operands[0] ?? ''}" is neither`);
  }
  const latencyTargetMs = read(
    '--latency-target',
    flags.get('latency-target'),
    number(1, defaultLimits.deadlineMsMax),
  );
  const rowsMax = read('--max-batch', flags.get('max-batch'), whole(1, 65_536));
  const seconds = read('--max-seconds', flags.get('max-seconds'), number(1, 3_600));
  const device = flags.has('device')
    ? read('--device', flags.get('device'), settings.device.parse)
    : read(settings.device.env, env[settings.device.env], settings.device.parse);
  const { jpegDecoder, prepareIn } = settings;
  const where = read(prepareIn.env, env[prepareIn.env], prepareIn.parse);
  const decoder = read(jpegDecoder.env, env[jpegDecoder.env], jpegDecoder.parse);
  const url = read(settings.redisUrl.env, env[settings.redisUrl.env], settings.redisUrl.parse);
  const prefix = read(
    settings.redisPrefix.env,
    env[settings.redisPrefix.env],
    settings.redisPrefix.parse,
  );
  if (reference === undefined || problems.length > 0) return err(problems);
  return ok({
    ...reference,
    modelsDir: flags.get('models') ?? (env[settings.models.env] || 'models'),
    latencyTargetMs,
    inputs: lists.get('input') ?? [],
    device: device ?? { kind: 'cpu', index: 0 },
    prepareIn: where ?? prepareIn.fallback,
    jpegDecoder: decoder ?? jpegDecoder.fallback,
    rowsMax,
    msMax: (seconds ?? 60) * msPerSecond,
    asJson: flags.has('json'),
    write: flags.has('write'),
    redis: url === null ? null : { url, prefix: prefix ?? settings.redisPrefix.fallback },
  });
}

function number(min: number, max: number): (text: string) => Result<number, string> {
  return (text) => {
    const value = /^\d{1,9}(?:\.\d{1,6})?$/u.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? ok(value) : err(wanted('a number', min, max, text));
  };
}

function whole(min: number, max: number): (text: string) => Result<number, string> {
  return (text) => {
    const value = /^\d{1,9}$/u.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? ok(value) : err(wanted('a whole number', min, max, text));
  };
}

function wanted(what: string, min: number, max: number, text: string): string {
  return `must be ${what} from ${min} to ${max}, not ${JSON.stringify(text.slice(0, 80))}`;
}
