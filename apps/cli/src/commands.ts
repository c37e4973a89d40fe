/** The commands that exist, with everything their help texts say beside the table of settings. */
import { benchFlags } from './bench/flags.ts';
import { modelCommands } from './model-commands.ts';
import { autoscaleFlags, scaleAdviceFlags } from './scale/flags.ts';
import { type Role, type Setting, type SettingName, settings, settingsOf } from './settings.ts';
import { tuneFlags } from './tune/flags.ts';

interface Option {
  /** Without the dashes. */
  readonly flag: string;
  /** Null for a flag that takes no value. */
  readonly placeholder: string | null;
  /** It may be given more than once, and each value counts. */
  readonly isRepeatable?: boolean;
  readonly help: string;
}

export interface Command {
  readonly name: string;
  /** Names of the arguments; all of them are required except in brackets, and the last may be repeated where it has "...". */
  readonly operands: readonly string[];
  readonly summary: string;
  readonly details: readonly string[];
  /** A long-running role takes every setting of that role as a flag. */
  readonly role: Role | null;
  /** Settings of that role that it does not take. */
  readonly without?: readonly SettingName[];
  /** Flags beside the settings. */
  readonly options: readonly Option[];
  readonly examples: readonly string[];
}

export const commands = [
  {
    name: 'serve',
    operands: ['[DIR]'],
    summary: 'Gateway and worker in one process.',
    details: [
      'Loads and warms every model of the repository DIR, then accepts requests.',
      'Without REDIS_URL jobs are queued in memory and do not survive a restart.',
      'SIGTERM or Ctrl-C drains: no new jobs, what was begun is finished. A second one ends at once.',
    ],
    role: 'serve',
    options: [],
    examples: [
      'inferry serve models',
      'PORT=9000 inferry serve models',
      'REDIS_URL=redis://127.0.0.1:6379 inferry serve models --only iris',
    ],
  },
  {
    name: 'gateway',
    operands: [],
    summary: 'The HTTP side alone: accepts jobs and answers them from the queue in Redis.',
    details: [
      'Accepts jobs for the models of the repository, also while no worker lives.',
      'Run as many as needed; they share nothing but Redis. SIGTERM drains.',
    ],
    role: 'gateway',
    options: [],
    examples: ['REDIS_URL=redis://127.0.0.1:6379 inferry gateway --models models'],
  },
  {
    name: 'worker',
    operands: [],
    summary: 'The inference side alone: claims batches from Redis and runs them.',
    details: [
      'Run as many as needed, one for each device. SIGTERM stops claiming and finishes what was claimed.',
    ],
    role: 'worker',
    options: [],
    examples: [
      'REDIS_URL=redis://127.0.0.1:6379 inferry worker --models models',
      'REDIS_URL=redis://127.0.0.1:6379 inferry worker --models models --only iris,digits --device cuda:0',
    ],
  },
  {
    name: 'autoscale',
    operands: [],
    summary: 'Workers on this machine, as many as the queue needs.',
    details: [
      'Looks at the queue every second, and starts or drains workers with the settings below, each supervised',
      'as "inferry worker" is. Starts at once, at most twice as many as there are (or two); drains the youngest',
      'after --stabilization, and the last after --cooldown. While Redis is away the number stays.',
      'SIGTERM or Ctrl-C drains all of them, a second one ends them.',
    ],
    role: 'worker',
    without: ['metricsPort', 'supervise'],
    options: autoscaleFlags,
    examples: [
      'REDIS_URL=redis://127.0.0.1:6379 inferry autoscale --models models --max 4',
      'REDIS_URL=redis://127.0.0.1:6379 inferry autoscale --models models --only iris --min 1 --max 8 --stabilization 60',
    ],
  },
  {
    name: 'scale-advice',
    operands: [],
    summary: 'How many workers are wanted now, and why.',
    details: [
      'Prints the number that the shipped autoscaling rules come to: the larger of what the backlog needs to be',
      'worked off within --drain-target and what the load needs to keep workers --utilization busy. The number',
      'is on stdout, why is on stderr. Exits with 1 when the queue, or Prometheus, does not tell.',
    ],
    role: null,
    options: scaleAdviceFlags,
    examples: [
      'REDIS_URL=redis://127.0.0.1:6379 inferry scale-advice --models models',
      'inferry scale-advice --prometheus http://127.0.0.1:9090 --only iris,digits --max 20 --json',
    ],
  },
  ...modelCommands,
  {
    name: 'tune',
    operands: ['MODEL'],
    summary: 'Finds batch size, instances and threads for a latency target, by measuring.',
    details: [
      'Measures every division of the cores into instances and threads, each in a process of its own: what',
      'batches of 1, 2, 4, ... rows take while all instances run. Prints the settings compared, the curve of',
      'the best one, and why it is the best. MODEL is a name or name@version; stop other work meanwhile.',
      'Exits 1 when no setting keeps the target.',
    ],
    role: null,
    options: tuneFlags,
    examples: [
      'inferry tune digits --input models/digits/samples --latency-target 50',
      'inferry tune digits --input models/digits/samples --latency-target 50 --write',
      'inferry tune resnet --models /srv/models --device cuda:0 --max-seconds 300 --json',
    ],
  },
  {
    name: 'bench',
    operands: ['MODEL'],
    summary: 'Puts load on a model of a running server and measures it.',
    details: [
      'Each load is warmed up and then measured in windows until throughput and latency of three in a row',
      'agree; these are reported: throughput, latencies, how requests ended, and where their time went.',
      'MODEL may be name@version. It loads whatever --url names: that is for its owner to decide.',
      'Exits with 1 when requests failed, 130 after Ctrl-C, which reports what was measured so far.',
    ],
    role: null,
    options: benchFlags,
    examples: [
      'inferry bench iris --concurrency 1,2,4,8',
      'inferry bench digits --input models/digits/samples --request-rate 50,100 --json report.json',
      'inferry bench resnet --api v2 --shape input:8,3,224,224 --url http://gpu-1:8000 --csv -',
    ],
  },
  {
    name: 'doctor',
    operands: ['[DIR]'],
    summary: 'Says whether Inferry would work here with these settings, and what to do when not.',
    details: [
      'Give it the environment and the flags of the process that is to run. It checks Node.js, ONNX Runtime',
      'and the provider of the device, the model repository DIR, Redis (version, eviction, persistence, memory,',
      'a real write, clocks) and the ports. Changes nothing. Exits with 1 when something is bad.',
    ],
    role: 'serve',
    options: [{ flag: 'json', placeholder: null, help: 'One JSON document on stdout instead.' }],
    examples: [
      'inferry doctor models',
      'REDIS_URL=redis://127.0.0.1:6379 inferry doctor models --device cuda:0',
      'inferry doctor --redis-url redis://queue:6379 --json',
    ],
  },
  {
    name: 'setup cuda',
    operands: [],
    summary: 'Fetches and checks the files that CUDA and TensorRT need.',
    details: [
      'Only machines with an NVIDIA GPU need them. Each file is checked against its SHA-256.',
    ],
    role: null,
    options: [],
    examples: ['inferry setup cuda'],
  },
  {
    name: 'version',
    operands: [],
    summary: 'Prints the version.',
    details: [],
    role: null,
    options: [],
    examples: ['inferry version'],
  },
  {
    name: 'help',
    operands: ['[COMMAND]'],
    summary: 'Prints this, or what a command takes.',
    details: [],
    role: null,
    options: [],
    examples: ['inferry help serve'],
  },
] as const satisfies readonly Command[];

export type CommandName = (typeof commands)[number]['name'];

/** The settings that a command takes, as flags and from the environment. */
export function settingsTaken({ role, without = [] }: Command): readonly Setting<unknown>[] {
  if (role === null) return [];
  const left: readonly Setting<unknown>[] = without.map((name) => settings[name]);
  return settingsOf(role).filter((setting) => !left.includes(setting));
}
