/**
 * The entry of the `inferry` command, and the only file that reads the environment and ends the
 * process. Standard output is for data, standard error for everything else.
 */
import { hostname } from 'node:os';
import { newId } from '@inferry/contracts';
import { systemClock, systemRandom } from '@inferry/runtime';
import { createLogger, type Logger, openTracing } from '@inferry/telemetry';
import { findCommand, type Invocation, parseArguments, unknownCommand } from './arguments.ts';
import { type Config, type ConfigProblem, nearMisses, parseConfig } from './config.ts';
import { commandHelp, groupHelp, overview } from './help.ts';
import {
  keptPortsName,
  onReread,
  onStopSignals,
  runSupervised,
  startSupervised,
  supervisedName,
  tellReady,
  watchStop,
} from './own-process.ts';
import type { Report } from './models-doctor.ts';
import type { ManagingCommand } from './repository/commands.ts';
import { startOf } from './roles/start-of.ts';
import { drainGraceMs, runRole } from './run-role.ts';
import { parseOptimizeOptions } from './optimize/options.ts';
import { progressLine } from './progress-line.ts';
import type { Role } from './settings.ts';
import { measuringName } from './tune/messages.ts';
import { parseTuneOptions } from './tune/options.ts';
import { ownVersion } from './version.ts';

const usageExitCode = 2;
/** The child bounds its own drain; when even that fails, its supervisor ends it this much later. */
const supervisorGraceMs = drainGraceMs + 5_000;

process.exit(await main());

async function main(): Promise<number> {
  const parsed = parseArguments(process.argv.slice(2));
  if (!parsed.ok) return refuse(parsed.error.message, parsed.error.command);
  const { command, wantsHelp } = parsed.value;
  if (wantsHelp) {
    print(command.name === 'help' ? overview() : commandHelp(command));
    return 0;
  }
  switch (command.name) {
    case 'help':
      return help(parsed.value.operands);
    case 'version':
      print(`${ownVersion()}\n`);
      return 0;
    case 'models doctor':
      return modelsDoctor(parsed.value);
    case 'models pull':
    case 'models push':
      return transfer(command.name, parsed.value);
    case 'models list':
    case 'models show':
    case 'models rm':
    case 'models label':
    case 'models traffic':
    case 'models rollback':
    case 'models load':
    case 'models unload':
      return manageModels(command.name, parsed.value);
    case 'models optimize':
      return optimize(parsed.value);
    case 'tune':
      return tune(parsed.value);
    case 'bench':
      return benchModel(parsed.value);
    case 'doctor':
      return runDoctor(parsed.value);
    case 'scale-advice':
      return scaleAdvice(parsed.value);
    case 'autoscale':
      return autoscale(parsed.value);
    case 'setup cuda':
      return setupCuda();
    case 'serve':
    case 'gateway':
    case 'worker':
      return longRunning(command.name, parsed.value);
  }
}

function help(operands: readonly string[]): number {
  if (operands.length === 0) {
    print(overview());
    return 0;
  }
  const words = operands.join(' ');
  const command = findCommand(words);
  const text = command === undefined ? groupHelp(words) : commandHelp(command);
  if (text === undefined) return refuse(unknownCommand(operands), null);
  print(text);
  return 0;
}

async function modelsDoctor({ operands, flags }: Invocation): Promise<number> {
  const { examineModels } = await import('./models-doctor.ts');
  return tell(await examineModels(operands[0] ?? '', flags.has('json')));
}

async function manageModels(name: ManagingCommand, invocation: Invocation): Promise<number> {
  const { manageModels } = await import('./repository/commands.ts');
  const told = await manageModels(name, invocation, environmentForS3());
  return told.ok ? tell(told.value) : refuse(told.error, name);
}

async function transfer(
  name: 'models pull' | 'models push',
  invocation: Invocation,
): Promise<number> {
  const { transferModel } = await import('./transfer.ts');
  const progress = progressLine(process.stderr);
  const common = { clock: systemClock, env: environmentForS3(), print, complain, progress };
  // A pull that is ended goes on where it was; a push has something to take back.
  const deps = name === 'models push' ? { ...common, stop: interruption() } : common;
  const done = await transferModel(name, invocation, deps);
  return done.ok ? done.value : refuse(done.error, name);
}

/** Without the warning of Amazon's client, on every start, that its next release needs a newer Node.js. */
function environmentForS3(): NodeJS.ProcessEnv {
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  return process.env;
}

async function optimize(invocation: Invocation): Promise<number> {
  const options = parseOptimizeOptions(invocation, process.env);
  if (!options.ok) return refuse(options.error.join('\ninferry: '), 'models optimize');
  const { optimize } = await import('./optimize/optimize.ts');
  const progress = progressLine(process.stderr);
  return optimize(options.value, { clock: systemClock, print, complain, progress });
}

async function tune(invocation: Invocation): Promise<number> {
  const { env } = process;
  if (env[measuringName] === '1') {
    const { measureForParent } = await import('./tune/measuring-process.ts');
    return measureForParent(kill);
  }
  const options = parseTuneOptions(invocation, env);
  if (!options.ok) return refuse(options.error.join('\ninferry: '), 'tune');
  const { tune } = await import('./tune/tune.ts');
  return tune(options.value, {
    clock: systemClock,
    random: systemRandom,
    env,
    argv: [...process.execArgv, ...process.argv.slice(1)],
    columns: process.stdout.columns ?? 100,
    print,
    complain,
    progress: progressLine(process.stderr),
  });
}

async function benchModel(invocation: Invocation): Promise<number> {
  const { parseBenchOptions } = await import('./bench/options.ts');
  const options = parseBenchOptions(invocation);
  if (!options.ok) return refuse(options.error.join('\ninferry: '), 'bench');
  const { bench, connectionsFor } = await import('./bench/bench.ts');
  const { openHttp } = await import('./bench/http.ts');
  const http = openHttp({ clock: systemClock, connections: connectionsFor(options.value) });
  const code = await bench(options.value, {
    clock: systemClock,
    http,
    ownCpuMs: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000;
    },
    stop: interruption(),
    print,
    complain,
    progress: progressLine(process.stderr),
  });
  await http.close();
  return code;
}

async function runDoctor({ flags, operands }: Invocation): Promise<number> {
  const { doctor, parseDoctorOptions } = await import('./doctor/doctor.ts');
  const source = { env: process.env, flags, directory: operands[0] };
  const options = parseDoctorOptions(source, flags.has('json'));
  if (!options.ok) return refuseSettings(options.error, 'doctor');
  return doctor(options.value, { clock: systemClock, print });
}

async function scaleAdvice(invocation: Invocation): Promise<number> {
  const { parseAdviceOptions } = await import('./scale/options.ts');
  const options = parseAdviceOptions(invocation, process.env);
  if (!options.ok) return refuse(options.error.join('\ninferry: '), 'scale-advice');
  const { scaleAdvice } = await import('./scale/scale-advice.ts');
  const processId = newId('advice', systemClock.nowMs(), systemRandom);
  return scaleAdvice(options.value, { clock: systemClock, processId, print, complain });
}

async function autoscale(invocation: Invocation): Promise<number> {
  const { env } = process;
  const { parseAutoscaleOptions, workerEnvironment } = await import('./scale/options.ts');
  const options = parseAutoscaleOptions(invocation, env);
  if (!options.ok) return refuse(options.error.join('\ninferry: '), 'autoscale');
  const { logLevel: level, limits } = options.value.worker;
  const logger = createLogger({ role: 'autoscaler', level, destination: process.stderr });
  warnOfNearMisses(logger);
  const { autoscale } = await import('./scale/autoscale.ts');
  const script = process.argv[1] ?? '';
  return autoscale(options.value, {
    clock: systemClock,
    logger,
    processId: newId('autoscale', systemClock.nowMs(), systemRandom),
    onStopSignals,
    onReread,
    startWorker: (onReady) =>
      startSupervised({
        argv: [...process.execArgv, script, 'worker'],
        env: workerEnvironment(invocation.flags, env),
        clock: systemClock,
        logger,
        stopMsMax: limits.drainMs + supervisorGraceMs,
        onReady,
      }),
  });
}

async function setupCuda(): Promise<number> {
  const { setupCuda } = await import('@inferry/worker');
  const libraryPath = process.env['LD_LIBRARY_PATH'] ?? '';
  const result = await setupCuda({ say: (line) => complain(`${line}\n`), libraryPath });
  if (!result.ok) {
    complain(`inferry: ${result.error}\n`);
    return 1;
  }
  print(`${result.value.directory}\n`);
  return result.value.missingLibraries.length === 0 ? 0 : 1;
}

async function longRunning(role: Role, { flags, operands }: Invocation): Promise<number> {
  const env = process.env;
  const parsed = parseConfig(role, { env, flags, directory: operands[0] });
  if (!parsed.ok) return refuseSettings(parsed.error, role);
  const isSupervised = env[supervisedName] === '1';
  const logger = createLogger({
    role: isSupervised || !parsed.value.supervise ? role : 'supervisor',
    level: parsed.value.logLevel,
    destination: process.stderr,
  });
  if (!isSupervised) warnOfNearMisses(logger);
  if (isSupervised || !parsed.value.supervise) return runHere(parsed.value, logger);
  return runSupervised({
    argv: [...process.execArgv, ...process.argv.slice(1)],
    env,
    clock: systemClock,
    logger,
    stopMsMax: parsed.value.limits.drainMs + supervisorGraceMs,
  });
}

function warnOfNearMisses(logger: Logger): void {
  for (const { name, meant } of nearMisses(process.env)) {
    logger.warn({ name, meant }, 'an environment variable is not a setting, a similar name is');
  }
}

/** Runs the role in this process. */
async function runHere(config: Config, logger: Logger): Promise<number> {
  const crash = (cause: unknown): void => {
    logger.fatal({ err: cause }, 'a bug ended this process');
    // Not process.exit: with a native run under way it would wait for the run and then abort.
    kill();
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
  const stop = watchStop();
  const tracing = await openTracing({
    env: process.env,
    role: config.role,
    version: ownVersion(),
    instanceId: `${hostname()}-${process.pid}`,
    system: config.redisUrl === null ? 'memory' : 'bullmq',
    clock: systemClock,
    logger,
  });
  if (!tracing.ok) return refuse(tracing.error, config.role);
  return runRole(await startOf(config, environmentForS3()), {
    config: withKeptPorts(config),
    deps: {
      logger,
      ...(tracing.value === undefined ? {} : { tracing: tracing.value }),
      clock: systemClock,
      random: systemRandom,
      version: ownVersion(),
      pid: process.pid,
      hostName: hostname(),
      visibleGpus: process.env['CUDA_VISIBLE_DEVICES'] ?? null,
      onReread,
      kill,
      abort: () => process.abort(),
      print,
    },
    stop,
    onReady: ({ http, metrics }) => tellReady(`${http ?? 0},${metrics}`),
  });
}

/** Once: a second signal ends the process as it ends any other. */
function interruption(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  return stop.signal;
}

/** Nothing is closed, and nothing can keep it from happening. */
function kill(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Where a port is to be picked, the one that an earlier life of this child had. */
function withKeptPorts(config: Config): Config {
  const [http = 0, metrics = 0] = (process.env[keptPortsName] ?? '').split(',').map(Number);
  return { ...config, port: config.port || http, metricsPort: config.metricsPort || metrics };
}

function refuseSettings(problems: readonly ConfigProblem[], command: string): number {
  for (const { setting, detail } of problems) complain(`inferry: ${setting} ${detail}\n`);
  complain(`Try "inferry help ${command}".\n`);
  return usageExitCode;
}

function refuse(message: string, command: string | null): number {
  complain(`inferry: ${message}\nTry "inferry help${command === null ? '' : ` ${command}`}".\n`);
  return usageExitCode;
}

function tell({ data, exitCode, remarks }: Report): number {
  print(data);
  complain(remarks);
  return exitCode;
}

function print(text: string): void {
  process.stdout.write(text);
}

function complain(text: string): void {
  process.stderr.write(text);
}
