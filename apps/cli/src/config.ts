/**
 * Configuration of the long-running roles. Parsed once, in `main.ts`, from flags (which win) and the
 * environment; every problem is reported, not the first alone; what came out can be shown without secrets.
 */
import { checkLimits, defaultLimits, type JsonObject, type Limits } from '@inferry/contracts';
import { err, InvariantError, ok, type Result } from '@inferry/runtime';
import {
  type Role,
  type Setting,
  type SettingName,
  settings,
  settingsOf,
  type SettingValue,
} from './settings.ts';
import { suggest } from './suggest.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

type Values = { readonly [Name in SettingName]: SettingValue<Name> };

export interface Config extends Omit<Values, 'models'> {
  readonly role: Role;
  /** Directory of the model repository. */
  readonly modelsDir: string;
  /** The defaults of the system with what was set here. */
  readonly limits: Limits;
}

/** A setting that cannot be used, under the name the operator gave it (`--port`, `PORT`). */
export interface ConfigProblem {
  readonly setting: string;
  readonly detail: string;
}

export interface ConfigSource {
  readonly env: Environment;
  /** Values by flag name, without dashes. */
  readonly flags: ReadonlyMap<string, string>;
  /** The argument of `serve DIR`. */
  readonly directory?: string | undefined;
}

/** Parses the settings of a role. An empty environment variable counts as not set. */
export function parseConfig(role: Role, source: ConfigSource): Result<Config, ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  const entries = Object.entries(settings).map(([name, setting]: [string, Setting<unknown>]) => {
    const isTaken = setting.roles.includes(role);
    return [name, isTaken ? readSetting(setting, source, problems) : fallbackOf(setting)] as const;
  });
  // Each value came out of the parser that stands under the same name in the table.
  const values = Object.fromEntries(entries) as unknown as Values;
  const limits = limitsOf(values);
  if (problems.length === 0) problems.push(...relationProblems(limits));
  const modelsDir = source.directory ?? values.models;
  problems.push(...modelsProblems(role, source, modelsDir));
  if (role !== 'serve' && values.redisUrl === null && !problems.some(isAboutRedis)) {
    const detail = `must be set: a ${role} shares its queue with other processes through Redis. Without Redis, "inferry serve" runs gateway and worker in one process`;
    problems.push({ setting: settings.redisUrl.env, detail });
  }
  if (problems.length > 0 || modelsDir === null) return err(problems);
  const { models: _models, ...rest } = values;
  return ok({ ...rest, role, modelsDir, limits });
}

/** The configuration as it may be printed: the password of REDIS_URL is left out. */
export function describeConfig(config: Config): JsonObject {
  const shown: Record<string, JsonObject[string]> = { INFERRY_MODELS: config.modelsDir };
  for (const [name, setting] of Object.entries(settings)) {
    if (name === 'models' || !settingsOf(config.role).includes(setting)) continue;
    shown[setting.env] = shownValue(config[name as Exclude<SettingName, 'models'>]);
  }
  if (config.redisUrl !== null) shown[settings.redisUrl.env] = redactedUrl(config.redisUrl);
  return shown;
}

/**
 * Names in the environment that look like a slip in the name of a setting. A warning and not an
 * error: a platform may set variables of its own that begin alike.
 */
export function nearMisses(env: Environment): readonly { name: string; meant: string }[] {
  const known = Object.values(settings).map((setting) => setting.env as string);
  return Object.keys(env).flatMap((name) => {
    if (!name.startsWith('INFERRY_') || known.includes(name)) return [];
    const meant = suggest(name, known);
    return meant === undefined ? [] : [{ name, meant }];
  });
}

function readSetting(
  setting: Setting<unknown>,
  source: ConfigSource,
  problems: ConfigProblem[],
): unknown {
  const flag = source.flags.get(setting.flag);
  const given = givenOf(setting, source);
  if (given === undefined) return fallbackOf(setting);
  const parsed = setting.parse(given);
  if (parsed.ok) return parsed.value;
  // What may hold a password, or says itself what it may show.
  const isSecret = [settings.redisUrl.env, settings.models.env].some((env) => env === setting.env);
  const shown = isSecret ? '' : `, not ${JSON.stringify(given.slice(0, 80))}`;
  problems.push({
    setting: flag === undefined ? setting.env : `--${setting.flag}`,
    detail: `${parsed.error}${shown}`,
  });
  return null;
}

function givenOf({ env, flag }: Setting<unknown>, source: ConfigSource): string | undefined {
  return source.flags.get(flag) ?? (source.env[env] === '' ? undefined : source.env[env]);
}

function fallbackOf(setting: Setting<unknown>): unknown {
  if (setting.fallback === null) return null;
  const parsed = setting.parse(setting.fallback);
  return parsed.ok ? parsed.value : null;
}

function limitsOf(values: Values): Limits {
  return {
    ...defaultLimits,
    bodyBytesMax: values.maxBodyBytes,
    waitMsMax: values.maxWaitMs,
    waitMsDefault: Math.min(defaultLimits.waitMsDefault, values.maxWaitMs),
    queueDepthPerClassMax: values.queueDepth,
    queueBytesPerClassMax: values.queueBytes,
    queueDepthPerTenantMax: values.tenantQueueDepth,
    targetWaitMs: values.targetWaitMs,
    retentionMsAsync: values.retentionMs,
    leaseMs: values.leaseMs,
    drainMs: values.drainMs,
  };
}

/** What {@link checkLimits} says, as a problem of the operator's and not a bug of ours. */
function relationProblems(limits: Limits): ConfigProblem[] {
  try {
    checkLimits(limits);
    return [];
  } catch (cause) {
    if (!(cause instanceof InvariantError)) throw cause;
    const detail = cause.message.replace(' (this is a bug)', '');
    return [{ setting: 'limits', detail: `contradict each other: ${detail}` }];
  }
}

function modelsProblems(
  role: Role,
  source: ConfigSource,
  modelsDir: string | null,
): ConfigProblem[] {
  if (source.directory !== undefined && source.flags.has(settings.models.flag)) {
    return [{ setting: '--models', detail: 'is given twice: as an argument and as a flag' }];
  }
  if (source.directory !== undefined) {
    const parsed = settings.models.parse(source.directory);
    return parsed.ok ? [] : [{ setting: 'DIR', detail: parsed.error }];
  }
  if (modelsDir !== null || givenOf(settings.models, source) !== undefined) return [];
  const how = role === 'serve' ? 'inferry serve DIR' : `inferry ${role} --models DIR`;
  return [{ setting: settings.models.env, detail: `must be set, for instance with "${how}"` }];
}

function isAboutRedis(problem: ConfigProblem): boolean {
  return problem.setting === settings.redisUrl.env || problem.setting === '--redis-url';
}

function shownValue(value: Config[Exclude<SettingName, 'models'>]): JsonObject[string] {
  if (value === null || typeof value !== 'object') return value;
  if ('kind' in value) return `${value.kind}:${value.index}`;
  return 'join' in value
    ? value.join(',')
    : [...value].map(([name, weight]) => `${name}:${weight}`).join(',');
}

function redactedUrl(text: string): string {
  const url = new URL(text);
  if (url.password !== '') url.password = 'redacted';
  if (url.searchParams.has('password')) url.searchParams.set('password', 'redacted');
  return url.href;
}
