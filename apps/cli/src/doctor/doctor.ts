/** `inferry doctor`: would Inferry work here, with these settings, and if not, what is to be done. */
import { err, ok, type Result, type Clock } from '@inferry/runtime';
import {
  type Config,
  type ConfigProblem,
  type ConfigSource,
  type Environment,
  parseConfig,
} from '../config.ts';
import { settings } from '../settings.ts';
import { bad, type Finding } from './check.ts';
import { checkEnvironment } from './environment.ts';
import { checkMachine } from './machine.ts';
import { checkRepository } from './models.ts';
import { checkPorts } from './ports.ts';
import { checkRedis } from './redis.ts';
import { doctorJson, doctorText, isFit } from './report.ts';

export interface DoctorDeps {
  readonly clock: Clock;
  readonly print: (text: string) => void;
}

/** The settings of a process to be, with the repository left out where none is named. */
export interface DoctorOptions {
  readonly config: Omit<Config, 'modelsDir'> & { readonly modelsDir: string | null };
  readonly asJson: boolean;
  readonly env: Environment;
}

/** Reads the settings as `serve` would; a repository may be left out. */
export function parseDoctorOptions(
  source: ConfigSource,
  asJson: boolean,
): Result<DoctorOptions, readonly ConfigProblem[]> {
  const { models } = settings;
  const isNamed =
    source.directory !== undefined ||
    source.flags.has(models.flag) ||
    (source.env[models.env] ?? '') !== '';
  const parsed = parseConfig('serve', isNamed ? source : { ...source, directory: '.' });
  if (!parsed.ok) return err(parsed.error);
  const modelsDir = isNamed ? parsed.value.modelsDir : null;
  return ok({ config: { ...parsed.value, modelsDir }, asJson, env: source.env });
}

/** Runs every check and prints what was found; 0 when nothing is bad, otherwise 1. */
export async function doctor(options: DoctorOptions, deps: DoctorDeps): Promise<number> {
  const { config, env } = options;
  const libraryPath = env['LD_LIBRARY_PATH'] ?? '';
  const findings: readonly Finding[] = [
    ...(await checked('Settings', () => checkEnvironment(env))),
    ...(await checked('Machine', () => checkMachine({ ...config, libraryPath }))),
    ...(await checked('Models', () => checkRepository(config))),
    ...(await checked('Redis', () => checkRedis(config, deps.clock))),
    ...(await checked('Ports', () => checkPorts(config))),
  ];
  deps.print(options.asJson ? doctorJson(findings) : doctorText(findings));
  return isFit(findings) ? 0 : 1;
}

/** A check that breaks is a finding like any other: the rest is looked at all the same. */
async function checked(
  name: string,
  check: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await check();
  } catch (cause) {
    return [bad(name, `the check itself failed: ${String(cause)}`, 'report this as a bug')];
  }
}
