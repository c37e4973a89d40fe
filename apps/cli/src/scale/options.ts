/** What `scale-advice` and `autoscale` were asked to do, read from their flags; every problem is told. */
import { err, ok, type Result } from '@inferry/runtime';
import type { ScalePolicy } from '@inferry/scheduling';
import type { Invocation } from '../arguments.ts';
import { type Config, type ConfigProblem, type Environment, parseConfig } from '../config.ts';
import { settings } from '../settings.ts';
import { time } from '../time-text.ts';

export type Policy = Required<ScalePolicy>;

export interface AdviceOptions {
  readonly source:
    | {
        readonly kind: 'queue';
        readonly url: string;
        readonly prefix: string;
        readonly windowMs: number;
      }
    | { readonly kind: 'prometheus'; readonly url: URL };
  /** The model repository of the workers; null: what there is. */
  readonly modelsDir: string | null;
  /** Null: all. */
  readonly only: readonly string[] | null;
  readonly policy: Policy;
  readonly asJson: boolean;
}

export interface AutoscaleOptions {
  /** Of each worker. */
  readonly worker: Config;
  readonly policy: Policy;
  readonly windowMs: number;
  readonly stabilizationMs: number;
  readonly cooldownMs: number;
}

type Flags = Pick<Invocation, 'flags'>;
type Parse<T> = (text: string) => Result<T, string>;

const workersMax = 1_000;
const hourMs = 3_600_000;

/** Reads one value after the other, and keeps what is wrong. */
class Reader {
  readonly problems: string[] = [];
  readonly #flags: Invocation['flags'];
  readonly #env: Environment;

  constructor(flags: Invocation['flags'], env: Environment) {
    this.#flags = flags;
    this.#env = env;
  }

  flag<T, F>(name: string, parse: Parse<T>, fallback: F): T | F {
    const text = this.#flags.get(name);
    return text === undefined ? fallback : this.#parsed(`--${name}`, text, parse, fallback);
  }

  /** The flag, otherwise the variable; an empty variable counts as not set. */
  setting<T, F>({ flag, env, parse }: Setting<T>, fallback: F): T | F {
    const text = this.#env[env];
    if (this.#flags.has(flag)) return this.flag(flag, parse, fallback);
    return text === undefined || text === '' ? fallback : this.#parsed(env, text, parse, fallback);
  }

  policy(maxFallback: number): Policy {
    const min = this.flag('min', whole(0, workersMax), 0);
    const max = this.flag('max', whole(1, workersMax), Math.max(min, maxFallback));
    if (min > max) this.problems.push(`--min must be at most --max, ${min} is above ${max}`);
    const drainTargetMs = this.flag('drain-target', time(100, hourMs), 30_000);
    const utilization = this.flag('utilization', share(0.1, 1), 0.7);
    return { min, max, drainTargetSeconds: drainTargetMs / 1_000, utilization };
  }

  #parsed<T, F>(name: string, text: string, parse: Parse<T>, fallback: F): T | F {
    const value = parse(text);
    if (value.ok) return value.value;
    const shown = urls.has(name) ? '' : `, not ${JSON.stringify(text.slice(0, 80))}`;
    this.problems.push(`${name} ${value.error}${shown}`);
    return fallback;
  }
}

/** Not shown where they are wrong: they may hold a password. */
const urls: ReadonlySet<string> = new Set([
  settings.redisUrl.env,
  `--${settings.redisUrl.flag}`,
  '--prometheus',
]);

interface Setting<T> {
  readonly flag: string;
  readonly env: string;
  readonly parse: Parse<T>;
}

/** The error has one line for each problem. */
export function parseAdviceOptions(
  { flags }: Flags,
  env: Environment,
): Result<AdviceOptions, readonly string[]> {
  const reader = new Reader(flags, env);
  const { problems } = reader;
  const policy = reader.policy(10);
  const modelsDir = reader.setting(settings.models, null);
  const only = reader.setting(settings.only, null);
  const asJson = flags.has('json');
  if (flags.has('prometheus')) {
    for (const name of ['redis-url', 'redis-prefix', 'window']) {
      if (flags.has(name)) problems.push(`--${name} is of the queue, and --prometheus is given`);
    }
    const url = reader.flag('prometheus', prometheusUrl, null);
    if (url === null || problems.length > 0) return err(problems);
    return ok({ source: { kind: 'prometheus', url }, modelsDir, only, policy, asJson });
  }
  const windowMs = reader.flag('window', time(1_000, 600_000), 10_000);
  const prefix = reader.setting(settings.redisPrefix, settings.redisPrefix.fallback);
  const before = problems.length;
  const url = reader.setting(settings.redisUrl, null);
  if (url === null && problems.length === before) {
    problems.push('REDIS_URL must be set, or --redis-url, or --prometheus given');
  }
  if (url === null || problems.length > 0) return err(problems);
  return ok({ source: { kind: 'queue', url, prefix, windowMs }, modelsDir, only, policy, asJson });
}

/** The settings of the workers are checked as `inferry worker` would. The error has one line for each problem. */
export function parseAutoscaleOptions(
  { flags }: Flags,
  env: Environment,
): Result<AutoscaleOptions, readonly string[]> {
  const reader = new Reader(flags, env);
  const policy = reader.policy(1);
  if (!flags.has('max')) reader.problems.push('--max must be given: the most workers to start');
  const windowMs = reader.flag('window', time(1_000, 600_000), 60_000);
  const stabilizationMs = reader.flag('stabilization', time(0, hourMs), 300_000);
  const cooldownMs = reader.flag('cooldown', time(0, 24 * hourMs), 600_000);
  const worker = parseConfig('worker', { env: { ...env, ...ownPorts }, flags });
  const problems = [...reader.problems, ...(worker.ok ? [] : worker.error.map(problemLine))];
  if (!worker.ok || problems.length > 0) return err(problems);
  return ok({ worker: worker.value, policy, windowMs, stabilizationMs, cooldownMs });
}

/** Several workers cannot listen on one port, and each is supervised here. */
const ownPorts = { [settings.metricsPort.env]: '0', [settings.supervise.env]: '1' } as const;

/** The environment of a worker: this process's own, in which the flags have become variables. */
export function workerEnvironment(flags: Invocation['flags'], env: Environment): Environment {
  const fromFlags = Object.values(settings).flatMap((setting) => {
    const text = flags.get(setting.flag);
    return text === undefined ? [] : [[setting.env, text]];
  });
  return { ...env, ...Object.fromEntries(fromFlags), ...ownPorts };
}

function problemLine({ setting, detail }: ConfigProblem): string {
  return `${setting} ${detail}`;
}

function whole(min: number, max: number): Parse<number> {
  return (text) => {
    const value = /^\d{1,9}$/u.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max
      ? ok(value)
      : err(`must be a whole number from ${min} to ${max}`);
  };
}

function share(min: number, max: number): Parse<number> {
  return (text) => {
    const value = /^\d(?:\.\d{1,9})?$/u.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? ok(value) : err(`must be a number from ${min} to ${max}`);
  };
}

function prometheusUrl(text: string): Result<URL, string> {
  const wanted = 'must be a URL like http://127.0.0.1:9090, without a user and a query';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url !== undefined && ['http:', 'https:'].includes(url.protocol);
  const isPlain = url?.username === '' && url.password === '' && url.search === '';
  return isHttp && isPlain ? ok(url) : err(wanted);
}
